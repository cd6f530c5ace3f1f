//! Finds, or makes, a Python that has the pinned moto.
//!
//! In this order: the Python behind `moto_server` on the PATH; the environment made earlier; a new
//! environment made by `uv`; one made by `python3 -m venv`, or by the Python that `pipx` runs on. Called
//! under the sandbox's file lock. An environment is built beside its final place and renamed when complete.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::error::last_lines;
use super::{MOTO_VERSION, Notices, SandboxDirs, SandboxError};

/// Prints moto's version, or fails where moto or the server's own dependencies are missing.
const VERSION_PROBE: &str = "import flask, moto; print(moto.__version__)";
const PYTHON_PROBE: &str = "import sys; print('%d %d' % sys.version_info[:2])";
const OLDEST_PYTHON: (u32, u32) = (3, 10);
const UNFINISHED: &str = ".installing-";
const ERROR_LINES: usize = 15;

/// Returns an interpreter whose moto is the pinned one, installing it on the first call.
pub(super) async fn python(
    dirs: &SandboxDirs,
    notices: Notices<'_>,
) -> Result<PathBuf, SandboxError> {
    if let Some(python) = behind_moto_server(dirs).await {
        return Ok(python);
    }
    let environment = dirs.environment();
    let python = interpreter(&environment);
    if python.exists() {
        return Ok(python);
    }
    remove_unfinished(dirs.root())?;
    let temporary = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(dirs.root())
        .map_err(SandboxError::file(
            "could not create a directory in",
            dirs.root(),
        ))?;
    let maker = Maker::find(dirs).await?;
    notices(&format!(
        "installing the local AWS (moto {MOTO_VERSION}) into {}, once, about 30 s",
        environment.display()
    ));
    maker.make(&temporary.path().join("environment")).await?;
    // An environment may be moved as long as only its interpreter is used: its scripts would still name the old place.
    if environment.exists() {
        std::fs::remove_dir_all(&environment)
            .map_err(SandboxError::file("could not remove", &environment))?;
    }
    std::fs::rename(temporary.path().join("environment"), &environment)
        .map_err(SandboxError::file("could not create", &environment))?;
    Ok(python)
}

/// What makes the environment.
#[derive(Debug, PartialEq, Eq)]
enum Maker {
    Uv(PathBuf),
    Venv(PathBuf),
}

impl Maker {
    async fn find(dirs: &SandboxDirs) -> Result<Self, SandboxError> {
        if let Some(uv) = find_program(&dirs.search_path, "uv") {
            return Ok(Self::Uv(uv));
        }
        let mut found = String::from("none was found on the PATH");
        let named = ["python3", "python"]
            .iter()
            .filter_map(|name| find_program(&dirs.search_path, name));
        // `pipx install` would put moto's commands on the user's PATH. The Python under pipx serves as well:
        // it is known to make virtual environments.
        let under_pipx =
            find_program(&dirs.search_path, "pipx").and_then(|pipx| shebang_interpreter(&pipx));
        for python in named.chain(under_pipx) {
            match python_version(&python).await {
                Some(version) if version >= OLDEST_PYTHON => return Ok(Self::Venv(python)),
                Some((major, minor)) => {
                    found = format!("{} is Python {major}.{minor}", python.display())
                }
                None => {}
            }
        }
        Err(SandboxError::NoPython { found })
    }

    async fn make(&self, environment: &Path) -> Result<(), SandboxError> {
        let requirement = format!("moto[server]=={MOTO_VERSION}");
        let python = interpreter(environment);
        match self {
            Self::Uv(uv) => {
                let oldest = format!(">={}.{}", OLDEST_PYTHON.0, OLDEST_PYTHON.1);
                run(
                    uv,
                    [
                        "venv".as_ref(),
                        "--no-project".as_ref(),
                        "--python".as_ref(),
                        oldest.as_ref(),
                        environment.as_os_str(),
                    ],
                )
                .await?;
                run(
                    uv,
                    [
                        "pip".as_ref(),
                        "install".as_ref(),
                        "--python".as_ref(),
                        python.as_os_str(),
                        requirement.as_ref(),
                    ],
                )
                .await?;
            }
            Self::Venv(base) => {
                let made = run(
                    base,
                    ["-m".as_ref(), "venv".as_ref(), environment.as_os_str()],
                )
                .await;
                if let Err(SandboxError::Install { output, .. }) = &made
                    && (output.contains("ensurepip") || output.contains("No module named venv"))
                {
                    return Err(SandboxError::NoVenv {
                        python: base.clone(),
                    });
                }
                made?;
                let arguments = [
                    "-m",
                    "pip",
                    "install",
                    "--disable-pip-version-check",
                    "--no-input",
                    &requirement,
                ];
                run(&python, arguments.map(OsStr::new)).await?;
            }
        }
        Ok(())
    }
}

/// The Python that an installed `moto_server` runs on, provided its moto is the pinned one.
async fn behind_moto_server(dirs: &SandboxDirs) -> Option<PathBuf> {
    let script = find_program(&dirs.search_path, "moto_server")?;
    let python = shebang_interpreter(&script)?;
    let output = probe(&python, VERSION_PROBE).await?;
    (output.trim() == MOTO_VERSION).then_some(python)
}

/// The interpreter that the first lines of an installed Python script name.
///
/// Installers write `#!/path/python`, or a shell line that runs `exec` on a quoted path when it is long or has spaces.
fn shebang_interpreter(script: &Path) -> Option<PathBuf> {
    let text = std::fs::read(script).ok()?;
    let head = String::from_utf8_lossy(&text[..text.len().min(4096)]).into_owned();
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let named = if first == "/bin/sh" {
        lines
            .next()?
            .strip_prefix("'''exec' ")?
            .strip_prefix('"')?
            .split('"')
            .next()?
    } else {
        first.split(' ').next()?
    };
    let path = PathBuf::from(named);
    // `#!/usr/bin/env python3` says nothing about where the package is.
    (path.file_name()? != "env" && path.is_absolute()).then_some(path)
}

async fn python_version(python: &Path) -> Option<(u32, u32)> {
    let output = probe(python, PYTHON_PROBE).await?;
    let (major, minor) = output.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

async fn probe(python: &Path, code: &str) -> Option<String> {
    let output = quiet(python, ["-c", code].map(OsStr::new)).await.ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn quiet<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> std::io::Result<Output> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env_remove("VIRTUAL_ENV")
        .env("PIP_USER", "0")
        .kill_on_drop(true)
        .output()
        .await
}

async fn run<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Result<(), SandboxError> {
    let arguments: Vec<&OsStr> = arguments.into_iter().collect();
    let failed = |output: String| {
        let mut words = vec![program.to_string_lossy()];
        words.extend(arguments.iter().map(|word| word.to_string_lossy()));
        SandboxError::Install {
            command: words.join(" "),
            output,
        }
    };
    match quiet(program, arguments.iter().copied()).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Err(failed(last_lines(
                &String::from_utf8_lossy(&text),
                ERROR_LINES,
            )))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin").join("python")
}

fn find_program(search_path: &OsString, name: &str) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// Removes what an installation that was killed left behind.
fn remove_unfinished(root: &Path) -> Result<(), SandboxError> {
    let entries = std::fs::read_dir(root).map_err(SandboxError::file("could not read", root))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            std::fs::remove_dir_all(&path)
                .map_err(SandboxError::file("could not remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;

    use super::*;

    /// A sandbox directory, and a PATH that holds only what a test puts there.
    struct Place {
        _root: tempfile::TempDir,
        bin: PathBuf,
        dirs: SandboxDirs,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let bin = root.path().join("bin");
            let cache = root.path().join("cache");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::create_dir_all(&cache).unwrap();
            let dirs = SandboxDirs::with_search_path(cache, &bin);
            Self {
                _root: root,
                bin,
                dirs,
            }
        }

        fn program(&self, name: &str, text: &str) -> PathBuf {
            let path = self.bin.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        /// A stand-in for Python that answers both probes and makes environments out of itself.
        fn python(&self, name: &str, version: &str, moto: &str) -> PathBuf {
            let script = format!(
                "#!/bin/sh\n\
                 case \"$*\" in\n\
                 *'import flask'*) echo '{moto}';;\n\
                 *'import sys'*) echo '{version}';;\n\
                 *'-m venv'*) mkdir -p \"$3/bin\" && cp \"$0\" \"$3/bin/python\";;\n\
                 *'-m pip install'*) echo \"$@\" > \"$(dirname \"$0\")/installed\";;\n\
                 esac\n"
            );
            self.program(name, &with_tools(&script))
        }

        async fn python_found(&self) -> Result<(PathBuf, Vec<String>), SandboxError> {
            let said = Mutex::new(Vec::new());
            let found = python(&self.dirs, &|line| {
                said.lock().unwrap().push(line.to_owned())
            })
            .await?;
            Ok((found, said.into_inner().unwrap()))
        }

        fn leftovers(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.dirs.root()).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with('.'))
                .collect()
        }
    }

    // The stand-ins are shell scripts; a PATH of one directory hides the tools they use, so they name them in full.
    fn with_tools(script: &str) -> String {
        script
            .replace("mkdir", "/bin/mkdir")
            .replace("cp ", "/bin/cp ")
            .replace("dirname", "/usr/bin/dirname")
    }

    #[tokio::test]
    async fn an_installed_moto_server_of_the_right_version_is_used() {
        let place = Place::new();
        let python = place.python("its-python", "3 12", MOTO_VERSION);
        place.program(
            "moto_server",
            &format!("#!{}\nimport sys\n", python.display()),
        );
        assert_eq!(place.python_found().await.unwrap(), (python, vec![]));
    }

    #[tokio::test]
    async fn a_moto_server_of_another_version_is_passed_over() {
        let place = Place::new();
        let old = place.python("its-python", "3 12", "5.0.0");
        place.program("moto_server", &format!("#!{}\n", old.display()));
        place.python("python3", "3 12", "");
        let (found, said) = place.python_found().await.unwrap();
        assert_eq!(found, interpreter(&place.dirs.environment()));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("moto 5.2.5") && said[0].contains("once"),
            "{said:?}"
        );
    }

    #[tokio::test]
    async fn a_venv_is_made_once_with_the_pinned_requirement() {
        let place = Place::new();
        place.python("python3", "3 12", "");
        let (found, _) = place.python_found().await.unwrap();
        let installed = std::fs::read_to_string(found.with_file_name("installed")).unwrap();
        assert!(installed.contains("moto[server]==5.2.5"), "{installed}");
        assert_eq!(
            place.python_found().await.unwrap(),
            (found, vec![]),
            "the second call installs nothing"
        );
        assert!(place.leftovers().is_empty());
    }

    #[tokio::test]
    async fn uv_is_preferred_and_needs_no_python() {
        let place = Place::new();
        place.program(
            "uv",
            &with_tools(
                "#!/bin/sh\n\
                 if [ \"$1\" = venv ]; then for last; do :; done; mkdir -p \"$last/bin\"; echo made > \"$last/bin/python\"; fi\n\
                 if [ \"$1\" = pip ]; then echo \"$5\" > \"$4.requirement\"; fi\n",
            ),
        );
        let (found, _) = place.python_found().await.unwrap();
        let requirement =
            std::fs::read_to_string(found.with_file_name("python.requirement")).unwrap();
        assert_eq!(requirement.trim(), "moto[server]==5.2.5");
    }

    #[tokio::test]
    async fn without_python_the_error_says_what_to_install() {
        let place = Place::new();
        let error = place.python_found().await.unwrap_err();
        assert!(matches!(error, SandboxError::NoPython { .. }), "{error}");
        assert!(error.to_string().contains("apt install python3"), "{error}");

        place.python("python3", "3 8", "");
        let error = place.python_found().await.unwrap_err().to_string();
        assert!(error.contains("is Python 3.8"), "{error}");
        assert!(place.leftovers().is_empty());
    }

    #[tokio::test]
    async fn a_python_without_ensurepip_is_named() {
        let place = Place::new();
        place.program(
            "python3",
            "#!/bin/sh\ncase \"$*\" in *'import sys'*) echo '3 12';; *) echo 'ensurepip is not available'; exit 1;; esac\n",
        );
        let error = place.python_found().await.unwrap_err();
        assert!(matches!(error, SandboxError::NoVenv { .. }), "{error}");
        assert!(error.to_string().contains("python3-venv"), "{error}");
    }

    #[tokio::test]
    async fn a_failed_installation_leaves_nothing_and_shows_why() {
        let place = Place::new();
        place.program(
            "python3",
            &with_tools(
                "#!/bin/sh\ncase \"$*\" in\n\
                 *'import sys'*) echo '3 12';;\n\
                 *'-m venv'*) mkdir -p \"$3/bin\" && cp \"$0\" \"$3/bin/python\";;\n\
                 *) echo 'no route to index' >&2; exit 1;;\nesac\n",
            ),
        );
        let error = place.python_found().await.unwrap_err().to_string();
        assert!(
            error.contains("no route to index") && error.contains("pip install"),
            "{error}"
        );
        assert!(!place.dirs.environment().exists());
        assert!(place.leftovers().is_empty());
    }

    #[tokio::test]
    async fn the_remains_of_a_killed_installation_are_removed() {
        let place = Place::new();
        std::fs::create_dir_all(place.dirs.root().join(".installing-dead/environment")).unwrap();
        place.python("python3", "3 12", "");
        place.python_found().await.unwrap();
        assert!(place.leftovers().is_empty());
    }

    #[test]
    fn shebangs_of_installed_scripts() {
        let place = Place::new();
        let of = |text: &str| shebang_interpreter(&place.program("script", text));
        assert_eq!(
            of("#!/opt/env/bin/python3\n"),
            Some("/opt/env/bin/python3".into())
        );
        assert_eq!(
            of("#!/opt/env/bin/python3 -E\n"),
            Some("/opt/env/bin/python3".into())
        );
        assert_eq!(
            of("#!/bin/sh\n'''exec' \"/opt/with space/bin/python\" \"$0\" \"$@\"\n' '''\n"),
            Some("/opt/with space/bin/python".into())
        );
        assert_eq!(of("#!/usr/bin/env python3\n"), None);
        assert_eq!(of("\u{7f}ELF"), None);
    }
}
