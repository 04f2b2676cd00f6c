"""The ways to run Endcap: the native local stack, the image, Compose, Kubernetes."""
