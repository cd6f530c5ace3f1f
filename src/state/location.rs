//! Where states are kept, as `--state` says it.

use std::path::PathBuf;

/// A place for states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory; a relative one is meant from the working directory.
    Directory(PathBuf),
    /// A bucket, and what the keys in it begin with: empty, or ending in a slash.
    Bucket {
        /// The bucket's name.
        bucket: String,
        /// What all keys begin with.
        prefix: String,
    },
}

impl Location {
    /// Reads what `--state`, `ORDERCTL_STATE` or orderctl.toml said; `config` has checked its shape.
    pub fn of(text: Option<&str>) -> Self {
        let text = text.unwrap_or("state");
        let Some(url) = text.strip_prefix("s3://") else {
            return Self::Directory(PathBuf::from(text));
        };
        let (bucket, path) = url.split_once('/').unwrap_or((url, ""));
        let path = path.trim_end_matches('/');
        Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: match path {
                "" => String::new(),
                path => format!("{path}/"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_with_a_prefix_and_anything_else_a_directory() {
        let bucket = |bucket: &str, prefix: &str| Location::Bucket {
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        assert_eq!(
            Location::of(Some("s3://states/order/api/")),
            bucket("states", "order/api/")
        );
        assert_eq!(Location::of(Some("s3://states/x")), bucket("states", "x/"));
        assert_eq!(Location::of(Some("s3://states")), bucket("states", ""));
        assert_eq!(Location::of(Some("s3://states/")), bucket("states", ""));
        assert_eq!(Location::of(None), Location::Directory("state".into()));
        assert_eq!(
            Location::of(Some("../s3")),
            Location::Directory("../s3".into())
        );
    }
}
