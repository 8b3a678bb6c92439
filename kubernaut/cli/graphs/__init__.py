"""A plan drawn: as a tree for terminals, as Mermaid, DOT and SVG for documents. Pure: a plan in, text out."""
