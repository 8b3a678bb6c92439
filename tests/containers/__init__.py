"""What runs in containers: the image, compose.yaml, and the parts of the tests as testcontainers run them."""
