"""CEL for the scheduler: read and type-checked by the official library, evaluated here within exact limits."""
