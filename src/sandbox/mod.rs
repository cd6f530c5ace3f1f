//! The local AWS: one detached process on loopback that every command of this machine shares.
//!
//! It is moto (pinned) under a layer of Python of ours, which is embedded in this binary. This module
//! installs it once, starts it when it is not running, finds it again, and stops it. Nothing here prints:
//! what the user should know goes through [`Notices`].

mod error;
mod health;
mod install;
mod package;
mod process;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use error::SandboxError;
pub use process::{ensure_running, start, status, stop};
pub use settings::{
    DEFAULT_LAG, DEFAULT_SPEED, HIGHEST_LAG, HIGHEST_SPEED, QUOTAS, Settings, Wishes,
};

/// The moto release the embedded layer is written against.
pub const MOTO_VERSION: &str = "5.2.5";

/// The account the sandbox answers for, whatever the credentials.
pub const ACCOUNT_ID: &str = "123456789012";

/// Overrides the directory in which the sandbox is installed and recorded.
pub const DIRECTORY_VARIABLE: &str = "ORDERCTL_SANDBOX_DIR";

/// Variables that would send a caller's requests elsewhere or sign them for real; [`env_exports`] goes with unsetting them.
pub const VARIABLES_TO_UNSET: [&str; 3] =
    ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"];

/// Receives one-line messages about slow steps, for the caller to print to stderr.
pub type Notices<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Below this path of the endpoint, the control endpoint answers where it was asked for.
pub const CONTROL_PATH: &str = "/orderctl/sandbox/control/";

/// A running local AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct Sandbox {
    /// The URL to hand to every SDK client; always `127.0.0.1`, because `localhost` turns S3 to virtual-host names.
    pub endpoint: String,
    /// The process that answered on the health path.
    pub pid: u32,
    /// The loopback port.
    pub port: u16,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// Content hash of the Python layer it runs.
    pub layer: String,
    /// Where it writes its log.
    pub log: PathBuf,
    /// How it behaves.
    pub settings: Settings,
}

impl Sandbox {
    /// Says whether it runs the layer that this binary carries.
    pub fn is_current(&self) -> bool {
        self.layer == package::layer_hash()
    }
}

/// Where the sandbox lives on disk, and where its tools are looked up.
#[derive(Debug, Clone)]
pub struct SandboxDirs {
    root: PathBuf,
    search_path: OsString,
}

impl SandboxDirs {
    /// Takes `ORDERCTL_SANDBOX_DIR`, else `orderctl/sandbox` in the user's cache directory.
    ///
    /// # Errors
    /// [`SandboxError::NoCacheDirectory`] when the system names no cache directory and the variable is unset.
    pub fn from_env() -> Result<Self, SandboxError> {
        if let Some(directory) =
            std::env::var_os(DIRECTORY_VARIABLE).filter(|value| !value.is_empty())
        {
            return Ok(Self::at(directory));
        }
        let cache = dirs::cache_dir().ok_or(SandboxError::NoCacheDirectory)?;
        Ok(Self::at(cache.join("orderctl").join("sandbox")))
    }

    /// Uses the given directory and the `PATH` of this process.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // The server gets its paths as they are but runs in another directory.
        let root = std::path::absolute(&root).unwrap_or(root);
        Self {
            root,
            search_path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[cfg(test)]
    fn with_search_path(root: impl Into<PathBuf>, search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            ..Self::at(root)
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn record_file(&self) -> PathBuf {
        self.root.join("running.json")
    }

    fn log_file(&self) -> PathBuf {
        self.root.join("server.log")
    }

    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// The Python environment of this moto release; it exists only once it is complete.
    fn environment(&self) -> PathBuf {
        self.root.join(format!("moto-{MOTO_VERSION}"))
    }
}

/// Lists the variables that point the AWS CLI and any SDK at the sandbox.
///
/// Unset [`VARIABLES_TO_UNSET`] beside them: a profile would win over the dummy credentials.
pub fn env_exports(sandbox: &Sandbox, region: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", sandbox.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_point_at_loopback_with_dummy_credentials() {
        let sandbox = Sandbox {
            endpoint: "http://127.0.0.1:4567".into(),
            pid: 1,
            port: 4567,
            started: 0,
            layer: String::new(),
            log: PathBuf::new(),
            settings: Settings::default(),
        };
        let exports = env_exports(&sandbox, "eu-west-1");
        let value = |name: &str| {
            exports
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(value("AWS_ENDPOINT_URL"), Some("http://127.0.0.1:4567"));
        assert_eq!(value("AWS_REGION"), Some("eu-west-1"));
        assert_eq!(value("AWS_DEFAULT_REGION"), Some("eu-west-1"));
        assert_eq!(value("AWS_ACCESS_KEY_ID"), Some("test"));
        assert!(VARIABLES_TO_UNSET.iter().all(|name| value(name).is_none()));
    }

    #[test]
    fn a_relative_directory_is_made_absolute() {
        assert!(SandboxDirs::at("somewhere").root().is_absolute());
    }
}
