//! Trying a new version through the test listener, before production traffic moves.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use crate::aws::{Answer, Aws, missing};
use crate::resource::{Class, Error, Result};

/// The way to the version under trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// `https://<load balancer>:<port>`.
    pub url: String,
    /// The test listener's port, which a sandbox cannot tell from the address.
    pub port: u16,
}

/// Finds the test listener: the load balancer's name in the DNS, its protocol and port. With
/// `sandbox`, the address of the sandbox that answers in its place.
///
/// Asks `elasticloadbalancing:DescribeListeners` and `…:DescribeLoadBalancers`; fails as those do.
pub async fn door(aws: &Aws, test_rule: &str, sandbox: Option<&str>) -> Result<Door> {
    const LISTENERS: &str = "elasticloadbalancing:DescribeListeners";
    const BALANCERS: &str = "elasticloadbalancing:DescribeLoadBalancers";
    let answer = aws
        .elbv2
        .describe_listeners()
        .listener_arns(listener_of(test_rule))
        .send()
        .await
        .of(LISTENERS)?;
    let listener = answer
        .listeners()
        .first()
        .ok_or_else(missing(LISTENERS, "listeners"))?;
    let port = listener.port().and_then(|port| port.try_into().ok());
    let port: u16 = port.ok_or_else(missing(LISTENERS, "port"))?;
    let balancer = listener
        .load_balancer_arn()
        .ok_or_else(missing(LISTENERS, "loadBalancerArn"))?;
    let answer = aws
        .elbv2
        .describe_load_balancers()
        .load_balancer_arns(balancer)
        .send()
        .await
        .of(BALANCERS)?;
    let balancer = answer.load_balancers().first();
    let host = balancer
        .and_then(|balancer| balancer.dns_name())
        .ok_or_else(missing(BALANCERS, "dnsName"))?;
    let url = match sandbox {
        Some(endpoint) => {
            let port = endpoint.rsplit(':').next().unwrap_or("80");
            format!("http://{host}:{}", port.trim_end_matches('/'))
        }
        None => {
            let is_tls = listener.protocol().is_some_and(|it| it.as_str() == "HTTPS");
            format!("{}://{host}:{port}", if is_tls { "https" } else { "http" })
        }
    };
    Ok(Door { url, port })
}

/// A rule's ARN holds that of its listener.
fn listener_of(rule: &str) -> String {
    let listener = rule.rsplit_once('/').map_or(rule, |(listener, _)| listener);
    listener.replace(":listener-rule/", ":listener/")
}

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks the new version for a path; gives the status it answers with.
#[derive(Clone, Debug)]
pub struct Smoke {
    client: Client,
    door: Door,
}

impl Smoke {
    /// Makes ready to ask. The certificate is not checked: it is for the name of the API, and the test
    /// listener is called by that of the load balancer. In a sandbox, at `sandbox`, there is no DNS.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn at(door: Door, sandbox: Option<&str>) -> Result<Self> {
        let mut client = Client::builder()
            .tls_danger_accept_invalid_certs(true)
            // A redirect would lead away from the test listener, mostly into production.
            .redirect(Policy::none())
            .timeout(ANSWER);
        let host = door.url.split("://").nth(1).unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        if let Some(address) = sandbox.and_then(|endpoint| {
            endpoint
                .split("://")
                .nth(1)?
                .trim_end_matches('/')
                .parse()
                .ok()
        }) {
            client = client.no_proxy().resolve(host, address);
        }
        let client = client.build().map_err(|error| {
            Error::new(
                "smoke test",
                Class::Refused,
                format!("no HTTP client: {error}"),
            )
        })?;
        Ok(Self { client, door })
    }

    /// The whole address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.door.url, path.trim_start_matches('/'))
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why there was no answer, in words.
    pub async fn ask(&self, path: &str) -> std::result::Result<StatusCode, String> {
        let request = self
            .client
            .get(self.url(path))
            .header("X-Forwarded-Port", self.door.port.to_string())
            .header("User-Agent", "orderctl");
        match request.send().await {
            Ok(answer) => Ok(answer.status()),
            Err(error) if error.is_timeout() => {
                Err(format!("no answer within {} s", ANSWER.as_secs()))
            }
            Err(error) => Err(root(&error)),
        }
    }
}

/// The innermost reason: the outer ones repeat the address.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_tells_its_listener() {
        let rule =
            "arn:aws:elasticloadbalancing:us-east-1:1:listener-rule/app/order-api-dev/a1/b2/c3";
        let listener = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/order-api-dev/a1/b2";
        assert_eq!(listener_of(rule), listener);
    }

    #[test]
    fn paths_are_put_behind_the_door_with_one_slash() {
        let door = Door {
            url: "https://alb.example:8443".into(),
            port: 8443,
        };
        let smoke = Smoke::at(door, None).unwrap();
        assert_eq!(
            smoke.url("/orders?x=1"),
            "https://alb.example:8443/orders?x=1"
        );
        assert_eq!(smoke.url("health"), "https://alb.example:8443/health");
    }
}
