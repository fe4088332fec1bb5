"""The cluster: what the gateway and the command line need of Kubernetes."""
