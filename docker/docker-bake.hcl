# All images in one build, from the top of the tree:
#   docker buildx bake --file docker/docker-bake.hcl                    the service, and the embedder on a CPU
#   docker buildx bake --file docker/docker-bake.hcl all                the embedders for GPUs, too
#   PREFIX=registry.example/me/immich-facesets- VERSION=0.1.0 docker buildx bake --file docker/docker-bake.hcl --push
# A builder for both platforms: docker buildx create --use, and binfmt for the one that this machine is not.

variable "VERSION" {
  default = "0.1.0"
}

# What the names of all images begin with, such as a registry and an account.
variable "PREFIX" {
  default = "immich-facesets-"
}

group "default" {
  targets = ["service", "embedder-cpu"]
}

group "all" {
  targets = ["service", "embedder-cpu", "embedder-cuda", "embedder-openvino", "embedder-migraphx"]
}

target "common" {
  context = "."
  attest  = ["type=provenance,mode=max", "type=sbom"]
}

target "service" {
  inherits   = ["common"]
  dockerfile = "docker/service.Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${PREFIX}service:${VERSION}"]
}

target "embedder-cpu" {
  inherits   = ["common"]
  dockerfile = "docker/embedder.Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${PREFIX}embedder:${VERSION}-cpu"]
  args       = { PROVIDER = "cpu" }
}

# ONNX Runtime with CUDA exists for arm64, but nobody has run this image there.
target "embedder-cuda" {
  inherits   = ["common"]
  dockerfile = "docker/embedder.Dockerfile"
  platforms  = ["linux/amd64"]
  tags       = ["${PREFIX}embedder:${VERSION}-cuda"]
  args       = { PROVIDER = "cuda" }
}

# ONNX Runtime with OpenVINO has no wheel for Linux on arm64.
target "embedder-openvino" {
  inherits   = ["common"]
  dockerfile = "docker/embedder.Dockerfile"
  platforms  = ["linux/amd64"]
  tags       = ["${PREFIX}embedder:${VERSION}-openvino"]
  args       = { PROVIDER = "openvino" }
}

# ROCm, its base image and its wheel are for amd64 alone.
target "embedder-migraphx" {
  inherits   = ["common"]
  dockerfile = "docker/embedder.Dockerfile"
  platforms  = ["linux/amd64"]
  tags       = ["${PREFIX}embedder:${VERSION}-migraphx"]
  args       = { PROVIDER = "migraphx" }
}
