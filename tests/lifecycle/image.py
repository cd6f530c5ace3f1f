"""Puts an image without content into the repository of a stack; run by aws.py."""

image = "application/vnd.docker.distribution.manifest.v2+json"
config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": "sha256:" + "0" * 64}
manifest = {"schemaVersion": 2, "mediaType": image, "config": config, "layers": []}
ecr.put_image(repositoryName="order-api-{s}", imageTag="latest", imageManifest=json.dumps(manifest))
