"""The brain: messages in, one decision out. Knows no Kubernetes and no database."""
