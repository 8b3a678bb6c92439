"""The admission policies. A package, so that they are gone from the API server with it."""
