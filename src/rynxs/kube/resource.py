"""The resources that we touch, by the names that the API documentation gives them."""

from rynxs.kube.client import Resource

PODS = Resource("api/v1", "pods")
SECRETS = Resource("api/v1", "secrets")
CONFIG_MAPS = Resource("api/v1", "configmaps")
SERVICES = Resource("api/v1", "services")
NAMESPACES = Resource("api/v1", "namespaces")
VOLUME_CLAIMS = Resource("api/v1", "persistentvolumeclaims")
ENDPOINT_SLICES = Resource("apis/discovery.k8s.io/v1", "endpointslices")
NETWORK_POLICIES = Resource("apis/networking.k8s.io/v1", "networkpolicies")
TOKEN_REVIEWS = Resource("apis/authentication.k8s.io/v1", "tokenreviews")
ACCESS_REVIEWS = Resource("apis/authorization.k8s.io/v1", "subjectaccessreviews")
