//! Elastic Container Registry: where the images of the application live.
