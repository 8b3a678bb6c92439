"""All tests. A package, so that a folder of tests can share a system that ends with the folder."""
