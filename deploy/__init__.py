"""How Endcap is run: the native local stack, the image, Compose, Kubernetes."""
