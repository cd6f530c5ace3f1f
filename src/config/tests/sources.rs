//! Which file is read, and what wins between flags, environment and file.

use super::*;

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "suffix = 'c'\nregion = 'eu-west-3'\nprofile = 'c'\nstate = 'c'\n";
    let variables = environment(&[
        ("ORDERCTL_SUFFIX", "b"),
        ("AWS_REGION", "eu-west-2"),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
        ("AWS_PROFILE", "b"),
        ("ORDERCTL_STATE", "b"),
    ]);
    let flags = Overrides {
        suffix: Some("a".to_owned()),
        region: Some("eu-west-1".to_owned()),
        profile: Some("a".to_owned()),
        state: Some("a".to_owned()),
        ..Overrides::default()
    };
    let both = Overrides {
        environment: variables.clone(),
        ..flags
    };
    let one = Overrides {
        environment: variables,
        ..Overrides::default()
    };
    for (overrides, word, region, origin) in [
        (both, "a", "eu-west-1", Origin::Flag("--region")),
        (one, "b", "eu-west-2", Origin::Environment("AWS_REGION")),
        (Overrides::default(), "c", "eu-west-3", Origin::File),
    ] {
        let settings = load_with(file, overrides).unwrap();
        assert_eq!(settings.suffix.as_ref().map(Suffix::as_str), Some(word));
        assert_eq!(settings.profile.as_deref(), Some(word));
        assert_eq!(settings.state.as_deref(), Some(word));
        assert_eq!(
            (settings.config.region.as_str(), settings.region_from),
            (region, origin)
        );
    }
}

#[test]
fn an_empty_variable_is_not_set_and_the_second_region_variable_is_a_fallback() {
    let read = environment(&[
        ("ORDERCTL_SUFFIX", ""),
        ("ORDERCTL_CONFIG", "other.toml"),
        ("AWS_REGION", ""),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
    ]);
    assert_eq!(read.suffix, None);
    assert_eq!(read.config_path, Some(PathBuf::from("other.toml")));
    assert_eq!(
        read.region,
        Some(("AWS_DEFAULT_REGION", "eu-north-1".to_owned()))
    );
}

#[test]
fn a_named_file_is_used_instead_and_must_exist() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::write(here.join(FILE_NAME), "suffix = 'found'\n").unwrap();
    fs::write(here.join("flag.toml"), "suffix = 'flag'\n").unwrap();
    fs::write(here.join("variable.toml"), "suffix = 'variable'\n").unwrap();
    let variable = |name: &str| Environment {
        config_path: Some(here.join(name)),
        ..Environment::default()
    };
    let overrides = |flag: Option<&str>, environment: Environment| Overrides {
        config_path: flag.map(|name| here.join(name)),
        environment,
        directory: Some(here.to_owned()),
        ..Overrides::default()
    };
    for (given, expected) in [
        (overrides(None, Environment::default()), "found"),
        (overrides(None, variable("variable.toml")), "variable"),
        (
            overrides(Some("flag.toml"), variable("missing.toml")),
            "flag",
        ),
    ] {
        let settings = load(&given).unwrap();
        assert_eq!(settings.suffix.as_ref().map(Suffix::as_str), Some(expected));
        assert_eq!(settings.file.unwrap().parent(), Some(here));
    }
    for (given, origin) in [
        (
            overrides(Some("missing.toml"), Environment::default()),
            "--config",
        ),
        (overrides(None, variable("missing.toml")), "ORDERCTL_CONFIG"),
    ] {
        let error = load(&given).unwrap_err();
        assert!(
            error.message().contains("missing.toml does not exist"),
            "{error}"
        );
        assert!(error.message().contains(origin), "{error}");
        assert_eq!(error.position(), None);
    }
    let error = load(&overrides(Some(""), Environment::default())).unwrap_err();
    assert!(error.message().starts_with("cannot read "), "{error}");
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join(FILE_NAME),
        b"protect = true\nsuffix = \"d\xffv\"\n",
    )
    .unwrap();
    let directory = Some(directory.path().to_owned());
    let error = load(&Overrides {
        directory,
        ..Overrides::default()
    })
    .unwrap_err();
    assert!(
        error.message().ends_with("is not UTF-8 text (line 2)"),
        "{error}"
    );
}
