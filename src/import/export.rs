//! Reads what `pulumi stack export` writes: deployment version 3.

use serde_json::{Map, Value};

use super::secrets::Secrets;

/// The one version of the deployment's format that is understood.
const VERSION: u64 = 3;

/// The properties that identify resources and how they hang together. No other is read.
const READ: [&str; 50] = [
    "allocationId",
    "arn",
    "availabilityZone",
    "cidrBlock",
    "cidrBlocks",
    "cidrIpv4",
    "clusterIdentifier",
    "clusterName",
    "dashboardName",
    "domainName",
    "egress",
    "endpoint",
    "family",
    "fromPort",
    "gatewayId",
    "identifier",
    "ingress",
    "internetGatewayId",
    "ipProtocol",
    "listenerArn",
    "loadBalancerArn",
    "logGroupName",
    "mapPublicIpOnLaunch",
    "name",
    "natGatewayId",
    "port",
    "priority",
    "protocol",
    "publicIp",
    "referencedSecurityGroupId",
    "region",
    "repository",
    "resourceArn",
    "resourceId",
    "role",
    "routeTableId",
    "routes",
    "secretId",
    "securityGroupId",
    "serviceName",
    "sourceSecurityGroupId",
    "subnetId",
    "subnets",
    "tags",
    "targetGroupArn",
    "toPort",
    "topic",
    "topicArn",
    "type",
    "vpcId",
];

/// The resources of an export that Pulumi manages.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// The resources, components and providers left out.
    pub resources: Vec<Exported>,
    /// How many operations Pulumi had begun and not finished.
    pub pending: usize,
    /// The secrets in the file.
    pub secrets: Secrets,
}

/// One resource of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// Its logical name in the program.
    pub name: String,
    /// Its type, `aws:ec2/vpc:Vpc`.
    pub kind: String,
    /// What the provider calls it.
    pub id: String,
    facts: Map<String, Value>,
}

/// Why a file is no export. Never quotes the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MalformedExport {
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

const AGAIN: &str = "write it with `pulumi stack export --file FILE`";

fn malformed(reason: impl Into<String>, advice: &str) -> MalformedExport {
    MalformedExport {
        reason: reason.into(),
        advice: advice.to_owned(),
    }
}

impl Export {
    /// Reads the text of an export.
    ///
    /// # Errors
    /// Says what is wrong with it in words of its own: the file may hold secrets.
    pub fn parse(text: &str) -> Result<Self, MalformedExport> {
        let document: Value = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            malformed(
                format!("it is not JSON (line {line}, column {column})"),
                AGAIN,
            )
        })?;
        if document.get("checkpoint").is_some() {
            let reason = "it is a checkpoint file of a Pulumi backend, not an export";
            return Err(malformed(reason, AGAIN));
        }
        match document.get("version").map(Value::as_u64) {
            Some(Some(VERSION)) => {}
            Some(Some(version)) => {
                let reason =
                    format!("it has deployment version {version}; version {VERSION} is read");
                return Err(malformed(reason, "export it with a Pulumi 3"));
            }
            _ => return Err(malformed("it has no deployment `version`", AGAIN)),
        }
        let Some(deployment) = document.get("deployment").and_then(Value::as_object) else {
            return Err(malformed("it has no `deployment`", AGAIN));
        };
        let resources = match deployment.get("resources") {
            Some(Value::Array(resources)) => resources,
            Some(_) => return Err(malformed("`deployment.resources` is no list", AGAIN)),
            None => return Err(malformed("its deployment has no resources", AGAIN)),
        };
        let mut export = Self::default();
        export.secrets.collect(&document);
        let pending = deployment.get("pending_operations");
        export.pending = pending.and_then(Value::as_array).map_or(0, Vec::len);
        for (number, resource) in resources.iter().enumerate() {
            if let Some(resource) = read(number, resource)? {
                export.resources.push(resource);
            }
        }
        Ok(export)
    }

    /// The regions and accounts that the ARNs in it name.
    pub fn places(&self) -> Vec<(&str, &str)> {
        let of_aws = self.resources.iter().filter(|found| found.is_of_aws());
        let arns = of_aws.flat_map(|found| [found.text("arn"), Some(found.id.as_str())]);
        let mut places: Vec<_> = arns.flatten().filter_map(place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The resources of a type, `ec2/vpc`.
    pub(super) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Exported> {
        self.resources
            .iter()
            .filter(move |found| found.token() == Some(kind))
    }
}

/// The region and the account of an ARN; empty where it names none.
fn place(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.strip_prefix("arn:")?.splitn(5, ':').skip(2);
    let (region, account) = (parts.next()?, parts.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    is_account.then_some((region, account))
}

fn read(number: usize, resource: &Value) -> Result<Option<Exported>, MalformedExport> {
    let wrong = |what: &str| {
        let reason = format!("`deployment.resources[{number}]` {what}");
        malformed(reason, AGAIN)
    };
    let Some(resource) = resource.as_object() else {
        return Err(wrong("is no object"));
    };
    let text = |field: &str| resource.get(field).and_then(Value::as_str);
    let is_set = |field: &str| resource.get(field).and_then(Value::as_bool) == Some(true);
    let urn = text("urn").ok_or_else(|| wrong("has no `urn`"))?;
    let kind = text("type").ok_or_else(|| wrong("has no `type`"))?;
    for field in ["inputs", "outputs"] {
        let value = resource.get(field).unwrap_or(&Value::Null);
        if !value.is_object() && !value.is_null() {
            return Err(wrong(&format!("has `{field}` that are no object")));
        }
    }
    // Components are groups of resources; external ones are only read; the others are on their way
    // out already.
    let is_passed_over = !is_set("custom")
        || kind.starts_with("pulumi:")
        || ["external", "delete", "pendingReplacement"]
            .into_iter()
            .any(is_set);
    if is_passed_over {
        return Ok(None);
    }
    let Some(id) = text("id").filter(|id| !id.is_empty()) else {
        return Err(wrong("has no `id`"));
    };
    let mut facts = Map::new();
    for field in ["inputs", "outputs"] {
        let properties = resource.get(field).and_then(Value::as_object);
        for (key, value) in properties.into_iter().flatten() {
            if READ.contains(&key.as_str()) && !value.is_null() && !Secrets::is_marked(value) {
                facts.insert(key.clone(), value.clone());
            }
        }
    }
    let name = urn.rsplit("::").next().unwrap_or(urn);
    Ok(Some(Exported {
        name: name.to_owned(),
        kind: kind.to_owned(),
        id: id.to_owned(),
        facts,
    }))
}

impl Exported {
    /// Whether it is a resource of AWS.
    pub fn is_of_aws(&self) -> bool {
        self.kind.starts_with("aws:")
    }

    /// The middle of its type, `ec2/vpc`, under one name where Pulumi has several.
    pub(super) fn token(&self) -> Option<&str> {
        let token = self.kind.strip_prefix("aws:")?.split(':').next()?;
        Some(match token {
            "alb/loadBalancer" | "elasticloadbalancingv2/loadBalancer" => "lb/loadBalancer",
            "alb/targetGroup" | "elasticloadbalancingv2/targetGroup" => "lb/targetGroup",
            "alb/listener" | "elasticloadbalancingv2/listener" => "lb/listener",
            "alb/listenerRule" | "elasticloadbalancingv2/listenerRule" => "lb/listenerRule",
            token => token,
        })
    }

    pub(super) fn value(&self, field: &str) -> Option<&Value> {
        self.facts.get(field)
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.value(field)?.as_str()
    }

    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        self.value("tags")?.get(key)?.as_str()
    }

    pub(super) fn list(&self, field: &str) -> &[Value] {
        let list = self.value(field).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn export(resources: Value) -> Result<Export, MalformedExport> {
        let document = json!({ "version": 3, "deployment": {
            "manifest": {}, "resources": resources,
        }});
        Export::parse(&document.to_string())
    }

    fn vpc() -> Value {
        json!({
            "urn": "urn:pulumi:dev::orders::aws:ec2/vpc:Vpc::main",
            "type": "aws:ec2/vpc:Vpc",
            "custom": true,
            "id": "vpc-1",
            "inputs": { "cidrBlock": "10.0.0.0/16" },
            "outputs": {
                "arn": "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1",
                "defaultSecurityGroupId": "sg-0",
                "name": { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
                          "plaintext": "\"hunter22\"" },
            },
        })
    }

    #[test]
    fn what_identifies_a_resource_is_read_and_nothing_else() {
        let export = export(json!([vpc()])).unwrap();
        let [found] = export.resources.as_slice() else {
            panic!("{:?}", export.resources)
        };
        assert_eq!((&*found.name, &*found.id), ("main", "vpc-1"));
        assert_eq!(found.token(), Some("ec2/vpc"));
        assert_eq!(found.text("cidrBlock"), Some("10.0.0.0/16"));
        assert_eq!(found.value("defaultSecurityGroupId"), None);
        assert_eq!(found.value("name"), None, "a secret is no fact");
        assert_eq!(export.places(), [("us-east-1", "123456789012")]);
        let shown = format!("{export:?}");
        assert!(!shown.contains("hunter22"), "{shown}");
    }

    #[test]
    fn components_providers_and_what_is_only_read_or_going_are_no_resources() {
        let with = |change: Value| {
            let mut resource = vpc();
            for (key, value) in change.as_object().unwrap() {
                resource[key] = value.clone();
            }
            resource
        };
        let resources = json!([
            with(json!({ "custom": false })),
            with(json!({ "type": "pulumi:providers:aws" })),
            with(json!({ "external": true })),
            with(json!({ "delete": true })),
        ]);
        assert!(export(resources).unwrap().resources.is_empty());
    }

    #[test]
    fn a_malformed_file_is_refused_without_being_quoted() {
        let wrong_id = json!([{ "urn": "hunter22", "type": "aws:x/y:Z", "custom": true }]);
        let deployment = |resources: Value| {
            json!({ "version": 3, "deployment": { "resources": resources } }).to_string()
        };
        for (text, expected) in [
            ("hunter22".to_owned(), "not JSON"),
            ("{\"hunter22\": hunter22}".to_owned(), "not JSON"),
            ("[]".to_owned(), "no deployment `version`"),
            (
                "{\"version\": \"hunter22\"}".to_owned(),
                "no deployment `version`",
            ),
            (
                "{\"version\": 1, \"deployment\": {}}".to_owned(),
                "version 1",
            ),
            ("{\"version\": 3}".to_owned(), "no `deployment`"),
            (
                "{\"version\": 3, \"checkpoint\": {\"latest\": {}}}".to_owned(),
                "checkpoint",
            ),
            (
                "{\"version\": 3, \"deployment\": {}}".to_owned(),
                "no resources",
            ),
            (deployment(json!("hunter22")), "no list"),
            (
                deployment(json!(["hunter22"])),
                "resources[0]` is no object",
            ),
            (deployment(json!([{ "type": "hunter22" }])), "has no `urn`"),
            (deployment(json!([{ "urn": "hunter22" }])), "has no `type`"),
            (
                deployment(json!([{ "urn": "a", "type": "b", "inputs": "hunter22" }])),
                "`inputs`",
            ),
            (deployment(wrong_id), "has no `id`"),
        ] {
            let error = Export::parse(&text).unwrap_err();
            assert!(error.reason.contains(expected), "{text}: {error}");
            assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
            assert!(!error.advice.is_empty());
        }
    }
}
