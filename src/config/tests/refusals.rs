//! How errors are found, placed, ordered and drawn, whatever the key.

use super::*;

#[test]
fn unknown_keys_and_wrong_types() {
    for (text, message, help) in [
        (
            ">>sufix = 'dev'",
            "`sufix` is not a key",
            "did you mean `suffix`? Allowed at the top level: suffix, region",
        ),
        (
            "[>>databse]\nreaders = 1",
            "`databse` is not a key",
            "did you mean `database`?",
        ),
        (
            "[database]\n>>reader = 3",
            "`database.reader` is not a key",
            "did you mean `readers`? Allowed in [database]: credentials, readers",
        ),
        (
            "[logs]\n>>zzz = 1",
            "`logs.zzz` is not a key",
            "Allowed in [logs]: retention_days",
        ),
        (
            "network.>>sider = 1",
            "`network.sider` is not a key",
            "cidr",
        ),
        (
            "protect = >>'yes'",
            "`protect` must be true or false, but is a string",
            "allowed: true, false",
        ),
        (
            "region = >>3",
            "`region` must be a string, but is a whole number",
            "double quotes",
        ),
        (
            "network = >>'x'",
            "`network` must be a table, but is a string",
            "[network]",
        ),
        (
            "[database]\nreaders = >>'2'",
            "`database.readers` must be a whole number, but is a string",
            "0 to 15",
        ),
        (
            "[database]\nreaders = >>2.5",
            "must be a whole number, but is a number with a fraction",
            "0 to 15",
        ),
        (
            "[scaling]\ncpu_target = >>true",
            "`scaling.cpu_target` must be a number",
            "1 to 100 percent",
        ),
        (
            "[alarms]\nemails = >>'a@example.com'",
            "`alarms.emails` must be a list, but is a string",
            "square brackets",
        ),
        (
            "[alarms]\nemails = ['a@example.com', >>7]",
            "`alarms.emails` has a bad element 2: it must be a string",
            "quotes",
        ),
        (
            "[app.env]\nPORT = >>80",
            "`app.env.PORT` must be a string, but is a whole number",
            "quotes",
        ),
        (
            "app.env = >>[]",
            "`app.env` must be a table, but is a list",
            "[app.env]",
        ),
        (
            "[network]\nnat = >>'per-zone'",
            "`network.nat` is \"per-zone\"",
            "did you mean \"per-az\"? Allowed: \"per-az\", \"single\", \"none\"",
        ),
        (
            "[edge]\ntls = >>true",
            "`edge.tls` must be a string",
            "allowed: \"on\", \"off\"",
        ),
        (
            "[service]\narchitecture = >>'arm64'",
            "`service.architecture` is \"arm64\"",
            "\"ARM64\"",
        ),
    ] {
        refused(text, message, help);
    }
}

#[test]
fn text_that_is_not_toml() {
    for (text, message) in [
        ("suffix = >>dev", "this is not TOML"),
        ("suffix = \"de>>v", "this is not TOML: invalid basic string"),
        (
            "protect = true\n>>protect = false",
            "this is not TOML: duplicate key",
        ),
    ] {
        refused(text, message, "orderctl init");
    }
}

#[test]
fn names_of_stack_region_profile_and_state() {
    for (text, message, help) in [
        (
            "suffix = >>'Dev'",
            "`suffix` is \"Dev\", which is not a suffix: character 1 is 'D'",
            "1 to 20 characters",
        ),
        (
            "suffix = >>'abcdefghij01234567890'",
            "it has 21 characters",
            "lower-case",
        ),
        (
            "region = >>'us-esat-1'",
            "\"us-esat-1\", which is not an AWS region",
            "did you mean \"us-east-1\"?",
        ),
        (
            "region = >>'us-east-1a'",
            "not an AWS region",
            "did you mean \"us-east-1\"?",
        ),
        (
            "region = >>'mars'",
            "not an AWS region",
            "a region is written like",
        ),
        (
            "region = >>''",
            "not an AWS region",
            "a region is written like",
        ),
        ("profile = >>''", "`profile` is empty", "AWS configuration"),
        (
            "state = >>'gs://bucket'",
            "`state` is \"gs://bucket\"",
            "a directory",
        ),
        ("state = >>'s3://'", "it names no bucket", "directory"),
        (
            "state = >>'s3:///x'",
            "it names no bucket",
            "s3://my-states/",
        ),
        ("state = >>''", "it names nothing", "directory"),
        ("state = >>'S3://states'", "in S3 alone", "s3://my-states/"),
        (
            "state = >>'s3://My-States/x'",
            "lower-case letters",
            "bucket",
        ),
        ("state = >>'s3://ab/x'", "3 to 63 characters", "bucket"),
        ("state = >>'s3://-states'", "begins and ends with", "bucket"),
        ("state = >>'s3://my..states'", "two dots", "bucket"),
        ("state = >>'s3://192.168.0.1/x'", "no IP address", "bucket"),
        (
            "state = >>'s3://states--use1-az4--x-s3/x'",
            "directory bucket",
            "bucket",
        ),
        ("state = >>'s3://states/a//b'", "single slashes", "bucket"),
        ("state = >>'s3://states/../b'", "single slashes", "bucket"),
        ("state = >>'s3://states/a?b'", "single slashes", "bucket"),
    ] {
        refused(text, message, help);
    }
}

#[test]
fn directories_and_buckets_are_places_for_state() {
    for place in [
        "state",
        "../states",
        "/var/lib/orderctl",
        "s3",
        "s3://my-states",
        "s3://my.states/",
        "s3://1states/order-api/team_a/",
    ] {
        let settings = load_text(&format!("state = '{place}'")).unwrap();
        assert_eq!(settings.state.as_deref(), Some(place));
    }
}

#[test]
fn regions_are_accepted_by_shape() {
    for region in [
        "us-gov-west-1",
        "us-iso-east-1",
        "ap-southeast-7",
        "mx-central-1",
        "xx-north-12",
        "eusc-de-east-1",
    ] {
        let config = load_text(&format!("region = '{region}'")).unwrap().config;
        assert_eq!(config.region, region);
    }
}

#[test]
fn the_first_fault_in_the_file_is_the_one_reported() {
    refused(
        "[logs]\n[deploy]\nbake_minutes = >>-1\n[database]\nreaders = 16\nbad = 1",
        "bake_minutes",
        "",
    );
    refused(
        "[scaling]\nmin = >>9\nmax = 1\nzzz = 1\n[app]\nx = 1\n",
        "`scaling.min` is 9",
        "",
    );
    refused(
        "[service]\n>>sise = 1\n[database]\nreaders = 16",
        "`service.sise`",
        "",
    );
    // A refused region is not replaced by the default when zones are compared with it.
    refused(
        "network.azs = ['eu-west-1a', 'eu-west-1b', 'eu-west-1c']\nregion = >>'eu'",
        "`region` is",
        "",
    );
    // A refused key breaks no second rule with its default.
    refused(
        "[scaling]\nmax = 2\nmin = >>'x'",
        "`scaling.min` must be",
        "",
    );
    refused(
        "[edge]\nzone_id = 'Z1'\ndomain = >>'x y'",
        "`edge.domain` is not a host name",
        "",
    );
}

#[test]
fn a_flag_that_does_not_fit_the_file_blames_the_files_key_and_names_the_flag() {
    let flag = Overrides {
        region: Some("eu-west-1".to_owned()),
        ..Overrides::default()
    };
    let text =
        "region = 'us-east-1'\n[network]\nazs = ['us-east-1a', 'us-east-1b', 'us-east-1c']\n";
    assert!(load_text(text).is_ok());
    let error = load_with(text, flag).unwrap_err();
    assert!(
        error
            .message()
            .contains("the region is eu-west-1 (from --region)"),
        "{error}"
    );
    assert_eq!(error.position(), Some((3, 7)));
    let drawn = render(&error, false, 100);
    assert!(
        !drawn.contains("region = 'us-east-1'"),
        "the overridden line is no part: {drawn}"
    );
}

#[test]
fn flags_and_variables_are_refused_by_their_names_before_the_file() {
    let bad_file = "nonsense = 1";
    let flag = |suffix: &str| Overrides {
        suffix: Some(suffix.to_owned()),
        ..Overrides::default()
    };
    let variables = |pairs: &[(&str, &str)]| Overrides {
        environment: environment(pairs),
        ..Overrides::default()
    };
    for (overrides, message, help) in [
        (
            flag("Bad_"),
            "`--suffix` is \"Bad_\", which is not a suffix: character 1 is 'B'",
            "1 to 20 characters",
        ),
        (
            variables(&[("ORDERCTL_SUFFIX", "a--b")]),
            "`ORDERCTL_SUFFIX` is \"a--b\"",
            "1 to 20 characters",
        ),
        (
            variables(&[("AWS_DEFAULT_REGION", "usa")]),
            "`AWS_DEFAULT_REGION` is \"usa\"",
            "a region",
        ),
        (
            variables(&[("ORDERCTL_STATE", "ftp://x")]),
            "`ORDERCTL_STATE` is \"ftp://x\"",
            "a directory",
        ),
    ] {
        let error = load_with(bad_file, overrides).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.help_text().contains(help), "{error:?}");
        assert_eq!(error.position(), None);
    }
    let hidden = Overrides {
        environment: environment(&[("ORDERCTL_SUFFIX", "BAD")]),
        ..flag("ok")
    };
    assert!(
        load_with("", hidden).is_ok(),
        "a variable that a flag beats is not looked at"
    );
}

#[test]
fn the_drawing_shows_file_line_and_help_without_colour() {
    let error = load_text("suffix = 'dev'\n\n[database]\nreaders = 16\n").unwrap_err();
    let drawn = render(&error, false, 80);
    assert!(drawn.is_ascii(), "{drawn}");
    for part in [
        "`database.readers` is 16, which is out of range",
        "orderctl.toml:4:11",
        "4 | readers = 16",
        "^|",
        "help: allowed: 0 to 15",
    ] {
        assert!(drawn.contains(part), "{part:?} not in\n{drawn}");
    }
    assert!(
        drawn
            .lines()
            .all(|line| line.chars().count() <= 80 || line.contains(FILE_NAME)),
        "{drawn}"
    );
    let coloured = render(&error, true, 80);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert!(
        !format!("{error:?}").contains("suffix"),
        "Debug holds no text of the file"
    );
}

#[test]
fn positions_count_characters() {
    refused("tags = { 'Größe' = 'ü', >>Name = 'x' }", "`tags.Name`", "");
}
