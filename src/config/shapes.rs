//! The shapes of single texts: region, AZ, ARN, domain name, tag, e-mail address and their like.
//! Only what AWS would refuse for certain is refused here; whether a thing exists is asked later.

use super::reader::{Fault, closest, fault};

/// Lists the regions known to this version. It feeds suggestions only: a region that opens later
/// is accepted by its shape.
const KNOWN_REGIONS: [&str; 36] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

const DIRECTIONS: [&str; 9] = [
    "north",
    "south",
    "east",
    "west",
    "central",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
];

fn all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Accepts `<area>-<direction>-<number>`, such as `eu-west-1` or `us-gov-east-1`.
pub(super) fn region(text: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = text.split('-').collect();
    let good = match parts.as_slice() {
        [areas @ .., direction, number] => {
            (1..=2).contains(&areas.len())
                && areas.iter().all(|area| {
                    (2..=4).contains(&area.len()) && all(area, |c| c.is_ascii_lowercase())
                })
                && DIRECTIONS.contains(direction)
                && (1..=2).contains(&number.len())
                && all(number, |c| c.is_ascii_digit())
                && !number.starts_with('0')
        }
        _ => false,
    };
    if good {
        return Ok(());
    }
    let shape = "a region is written like us-east-1 or eu-central-1 (an AZ has a letter more)";
    let help = match closest(text, KNOWN_REGIONS) {
        Some(near) => format!("did you mean \"{near}\"? {}", capital(shape)),
        None => shape.to_owned(),
    };
    Err(fault(
        format!("is {text:?}, which is not an AWS region"),
        help,
    ))
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// Accepts a region's name and one letter, such as `eu-west-1a`.
pub(super) fn availability_zone(text: &str) -> Result<(), Fault> {
    let stem = text.strip_suffix(|c: char| c.is_ascii_lowercase());
    match stem.map(region) {
        Some(Ok(())) => Ok(()),
        _ => Err(fault(
            format!("is {text:?}, which is not an AZ"),
            "write the region and one letter, for example \"us-east-1a\" \
             (local and wavelength zones cannot hold the stack)",
        )),
    }
}

/// Accepts the ARN of an ACM certificate.
pub(super) fn certificate_arn(text: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let good = match parts.as_slice() {
        ["arn", partition, "acm", region_name, account, resource] => {
            partition.starts_with("aws")
                && all(partition, |c| c.is_ascii_lowercase() || c == '-')
                && region(region_name).is_ok()
                && account.len() == 12
                && all(account, |c| c.is_ascii_digit())
                && resource
                    .strip_prefix("certificate/")
                    .is_some_and(|id| all(id, |c| c.is_ascii_alphanumeric() || c == '-'))
        }
        _ => false,
    };
    if good {
        return Ok(());
    }
    Err(fault(
        "is not the ARN of an ACM certificate",
        "write arn:aws:acm:<region>:<12-digit account>:certificate/<id>; \
         `aws acm list-certificates` shows yours",
    ))
}

/// Returns the region inside a certificate's ARN.
pub(super) fn region_of_arn(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// Accepts a lower-case host name of at least two labels that fits a certificate's common name.
pub(super) fn domain(text: &str) -> Result<(), Fault> {
    let label = |label: &str| {
        label.len() <= 63
            && all(label, |c| lower_or_digit(c) || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let wrong = if text.len() > 64 {
        "is longer than the 64 characters ACM takes"
    } else if text.split('.').count() >= 2 && text.split('.').all(label) {
        return Ok(());
    } else {
        "is not a host name"
    };
    Err(fault(
        wrong,
        "write the API's own name in lower case, without scheme, path, wildcard or final dot, \
         for example \"orders.example.com\"",
    ))
}

/// Accepts the ID of a Route 53 hosted zone.
pub(super) fn zone_id(text: &str) -> Result<(), Fault> {
    let upper_or_digit = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    if text.len() <= 32 && all(text, upper_or_digit) {
        return Ok(());
    }
    Err(fault(
        format!("is {text:?}, which is not a hosted zone ID"),
        "write up to 32 capitals and digits without /hostedzone/, for example \
         \"Z0123456789ABCDEFGHIJ\"; `aws route53 list-hosted-zones` shows yours",
    ))
}

/// Accepts a path pattern of a listener rule.
pub(super) fn path_pattern(text: &str) -> Result<(), Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?".contains(c);
    if text.len() <= 128 && all(text, allowed) && text.starts_with(['/', '*']) {
        return Ok(());
    }
    Err(fault(
        format!("is {text:?}, which is not a path pattern"),
        "begin with a slash; up to 128 letters, digits and _-.$/~\"'@:+& with the wildcards * \
         and ?, for example \"/orders/*\"",
    ))
}

/// Accepts what looks like an e-mail address.
pub(super) fn email(text: &str) -> Result<(), Fault> {
    let good = text.split_once('@').is_some_and(|(user, host)| {
        let printable = |c: char| c.is_ascii_graphic() && !"@,;<>()[]\"\\".contains(c);
        all(user, printable)
            && host.contains('.')
            && host.split('.').all(|label| {
                all(label, |c| c.is_ascii_alphanumeric() || c == '-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
    });
    if good && text.len() <= 254 {
        return Ok(());
    }
    Err(fault(
        format!("is {text:?}, which is not an e-mail address"),
        "write the address alone, for example \"oncall@example.com\"",
    ))
}

/// Lists the tag keys this program sets itself; AWS compares IAM tag keys without case.
const OWN_TAGS: [&str; 7] = [
    "Name",
    "Project",
    "Environment",
    "ManagedBy",
    "Deployment",
    "Tier",
    "Role",
];

fn tag_characters(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
}

const TAG_CHARACTERS: &str = "allowed: letters, digits, spaces and _ . : / = + - @";

/// Accepts a tag key that is neither AWS's nor ours.
pub(super) fn tag_key(text: &str) -> Result<(), Fault> {
    let lower = text.to_lowercase();
    if lower.starts_with("aws:") {
        return Err(fault(
            "begins with `aws:`, which is reserved",
            "AWS alone sets such tags",
        ));
    }
    if lower.starts_with("orderctl:") || OWN_TAGS.iter().any(|own| own.to_lowercase() == lower) {
        let help = format!(
            "choose another key; orderctl:* and {} (in any case) are set by orderctl",
            OWN_TAGS.join(", ")
        );
        return Err(fault("is a tag orderctl sets itself", help));
    }
    match text.chars().count() {
        0 => Err(fault(
            "is an empty tag key",
            "a tag key has 1 to 128 characters",
        )),
        1..=128 if tag_characters(text) => Ok(()),
        1..=128 => Err(fault(
            "has a character AWS refuses in tag keys",
            TAG_CHARACTERS,
        )),
        length => {
            let what = format!("has a key of {length} characters");
            Err(fault(what, "a tag key has 1 to 128 characters"))
        }
    }
}

/// Accepts a tag value.
pub(super) fn tag_value(text: &str) -> Result<(), Fault> {
    match text.chars().count() {
        0..=256 if tag_characters(text) => Ok(()),
        0..=256 => Err(fault(
            "has a character AWS refuses in tag values",
            TAG_CHARACTERS,
        )),
        length => {
            let what = format!("has a value of {length} characters");
            Err(fault(what, "a tag value has up to 256 characters"))
        }
    }
}

/// Accepts the name of an environment variable that is not one of the stack's own.
pub(super) fn environment_name(text: &str) -> Result<(), Fault> {
    const OWN: [&str; 6] = [
        "DB_ENDPOINT",
        "DB_READER_ENDPOINT",
        "DB_NAME",
        "REGION",
        "CONFIG_PARAM",
        "DB_CREDENTIALS",
    ];
    if OWN.contains(&text) {
        let help = format!("choose another name; the stack sets {}", OWN.join(", "));
        return Err(fault("is a variable the stack sets itself", help));
    }
    let word = all(text, |c| c.is_ascii_alphanumeric() || c == '_');
    if word && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(fault(
        "is not the name of an environment variable",
        "allowed: letters, digits and underscores, not beginning with a digit",
    ))
}

/// Accepts a key of `[app.config]` that is not one of the parameter's own.
pub(super) fn parameter_key(text: &str) -> Result<(), Fault> {
    let meant = match text {
        "region" => "the top-level key `region`",
        "logLevel" => "`log_level` in [app]",
        "maxConnections" => "`max_connections` in [app]",
        "" => return Err(fault("is an empty key", "give the value a name")),
        _ => return Ok(()),
    };
    Err(fault(
        "has a key of its own",
        format!("set {meant} instead"),
    ))
}

/// Accepts an image tag as registries do.
pub(super) fn image_tag(text: &str) -> Result<(), Fault> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(word) && text.len() <= 128 && all(text, |c| word(c) || c == '.' || c == '-')
    {
        return Ok(());
    }
    Err(fault(
        format!("is {text:?}, which is not an image tag"),
        "allowed: up to 128 letters, digits and _ . -, beginning with a letter, digit or _",
    ))
}

/// Accepts `db.<family>.<size>`.
pub(super) fn instance_class(text: &str) -> Result<(), Fault> {
    if text == "db.serverless" {
        let help = "for Serverless v2 leave this key out and set capacity = \"serverless\"";
        return Err(fault("is \"db.serverless\", which capacity chooses", help));
    }
    let word = |text: &str| all(text, |c| lower_or_digit(c) || c == '-');
    match text.split('.').collect::<Vec<_>>().as_slice() {
        ["db", family, size] if word(family) && word(size) => Ok(()),
        _ => Err(fault(
            format!("is {text:?}, which is not an instance class"),
            "write db.<family>.<size>, for example \"db.r6g.large\" or \"db.t4g.medium\"",
        )),
    }
}

/// Accepts `8.0` or a longer prefix of an Aurora MySQL 8.0 version.
pub(super) fn engine_version(text: &str) -> Result<(), Fault> {
    let digits = |text: &str| all(text, |c| c.is_ascii_digit());
    let good = match text.split('.').collect::<Vec<_>>().as_slice() {
        ["8", "0"] => true,
        ["8", "0", "mysql_aurora", patch @ ..] => {
            (1..=3).contains(&patch.len()) && patch.iter().all(|part| digits(part))
        }
        _ => false,
    };
    if good {
        return Ok(());
    }
    Err(fault(
        format!("is {text:?}, which is not an Aurora MySQL 8.0 version"),
        "write \"8.0\" and let AWS pick the patch, or for example \"8.0.mysql_aurora.3.08.2\"",
    ))
}

/// Accepts one word of letters.
pub(super) fn log_level(text: &str) -> Result<(), Fault> {
    if text.len() <= 20 && all(text, |c| c.is_ascii_alphabetic()) {
        return Ok(());
    }
    Err(fault(
        format!("is {text:?}, which is not a log level"),
        "write one word the application understands, for example \"debug\", \"info\" or \"warn\"",
    ))
}

/// Accepts anything but an empty name or one with spaces around it.
pub(super) fn profile(text: &str) -> Result<(), Fault> {
    if !text.is_empty() && text.trim() == text {
        return Ok(());
    }
    Err(fault(
        "is empty or has spaces around it",
        "name a profile of your AWS configuration",
    ))
}

/// Accepts a directory, or a bucket with a prefix, as `s3://bucket/prefix`.
pub(super) fn state(text: &str) -> Result<(), Fault> {
    let wrong = match text.strip_prefix("s3://") {
        Some(url) => {
            let (bucket, prefix) = url.split_once('/').unwrap_or((url, ""));
            bucket_fault(bucket).or_else(|| prefix_fault(prefix))
        }
        None if text.trim().is_empty() => Some("it names nothing"),
        None if text.contains("://") => Some("states are kept in directories and in S3 alone"),
        None => None,
    };
    let Some(wrong) = wrong else { return Ok(()) };
    Err(fault(
        format!("is {text:?}, which is no place for state: {wrong}"),
        "write a directory, for example \"state\", or a bucket, for example \"s3://my-states/order-api\"",
    ))
}

/// What is wrong with a bucket's name (Amazon S3 User Guide, "General purpose bucket naming
/// rules").
fn bucket_fault(name: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_address = name.split('.').count() == 4
        && name
            .split('.')
            .all(|part| all(part, |c| c.is_ascii_digit()));
    if name.is_empty() {
        Some("it names no bucket")
    } else if !(3..=63).contains(&name.len()) {
        Some("a bucket's name has 3 to 63 characters")
    } else if !all(name, |c| is_plain(c) || c == '-' || c == '.') {
        Some("a bucket's name has lower-case letters, digits, hyphens and dots alone")
    } else if !name.starts_with(is_plain) || !name.ends_with(is_plain) {
        Some("a bucket's name begins and ends with a letter or digit")
    } else if name.contains("..") || is_address {
        Some("a bucket's name has no two dots side by side, and is no IP address")
    } else if name.ends_with("--x-s3") {
        Some("a directory bucket cannot hold states, only a general purpose one can")
    } else {
        None
    }
}

/// What is wrong with the prefix of a bucket: allowed is what needs no care anywhere (Amazon S3
/// User Guide, "Object key naming guidelines", safe characters).
fn prefix_fault(prefix: &str) -> Option<&'static str> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    let is_segment = |part: &str| all(part, is_safe) && part != "." && part != "..";
    if prefix.is_empty() {
        None
    } else if prefix.len() > 900 {
        Some("the prefix is longer than 900 characters")
    } else if !prefix.split('/').all(is_segment) {
        Some("the prefix has letters, digits and !-_.*'() between single slashes")
    } else {
        None
    }
}
