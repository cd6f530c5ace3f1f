//! What an examination found, as a person reads it and as a program does.

use serde_json::{Value, json};

use super::Style;
use super::text::clean;
use crate::doctor::{Finding, Severity};

/// Draws the findings, the worst first, under the names of their severities: evidence indented, and
/// what mends each.
pub fn render(findings: &[Finding], style: &Style) -> String {
    let mut blocks = Vec::new();
    for severity in [
        Severity::Problem,
        Severity::Warning,
        Severity::Unknown,
        Severity::Fine,
    ] {
        let of_it: Vec<&Finding> = findings
            .iter()
            .filter(|it| it.severity == severity)
            .collect();
        if of_it.is_empty() {
            continue;
        }
        let mut lines = vec![style.bold(heading(severity))];
        for finding in of_it {
            lines.extend(draw(finding, style));
        }
        blocks.push(lines.join("\n"));
    }
    blocks.join("\n\n")
}

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Problem => "Problems",
        Severity::Warning => "Warnings",
        Severity::Unknown => "Not known",
        Severity::Fine => "Fine",
    }
}

fn draw(finding: &Finding, style: &Style) -> Vec<String> {
    let area = format!("{:<12}", finding.area);
    let title = clean(&finding.title);
    let first = match finding.severity {
        Severity::Problem => format!("  {area}{}", style.red(title)),
        Severity::Warning | Severity::Unknown => format!("  {area}{}", style.yellow(title)),
        Severity::Fine => format!("  {area}{title}"),
    };
    let mut lines = vec![first];
    // What is well needs no proof; JSON has it.
    if finding.severity != Severity::Fine {
        let evidence = finding.evidence.iter();
        lines.extend(evidence.map(|line| format!("      {}", style.dim(clean(line)))));
    }
    if let Some(fix) = &finding.fix {
        lines.push(format!("      {} {}", style.cyan("fix:"), clean(fix)));
    }
    lines
}

/// One line that says how it stands.
pub fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
    let problems = match count(Severity::Problem) {
        0 => "no problem".to_owned(),
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    };
    let warnings = match count(Severity::Warning) {
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    let mut text = format!("{problems}, {warnings}, {} fine", count(Severity::Fine));
    match count(Severity::Unknown) {
        0 => {}
        many => text.push_str(&format!(", {many} not known")),
    }
    format!("{text}.")
}

/// The same as one object: `type` is `doctor`, `examined` is `stack` or `preflight`, `problems` and
/// `warnings` are counts; `findings` have `severity` (`problem`, `warning`, `unknown`, `fine`),
/// `area`, `title`, `evidence` (a list of texts) and `fix` (a text, or null).
pub fn to_json(findings: &[Finding], stack: &str, is_preflight: bool) -> Value {
    let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
    json!({
        "type": "doctor",
        "version": super::json::VERSION,
        "stack": stack,
        "examined": if is_preflight { "preflight" } else { "stack" },
        "problems": count(Severity::Problem),
        "warnings": count(Severity::Warning),
        "findings": findings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        let finding = |severity, area, title: &str, evidence: &[&str], fix: Option<&str>| Finding {
            severity,
            area,
            title: title.to_owned(),
            evidence: evidence.iter().map(|&line| line.to_owned()).collect(),
            fix: fix.map(str::to_owned),
        };
        vec![
            finding(
                Severity::Problem,
                "tasks",
                "2 tasks stopped: the image is not in its repository",
                &["CannotPullContainerError: \u{1b}[2Jnot found"],
                Some("orderctl push IMAGE"),
            ),
            finding(
                Severity::Unknown,
                "roles",
                "iam:GetRole is not permitted",
                &[],
                None,
            ),
            finding(
                Severity::Fine,
                "logs",
                "log group /ecs/order-api-dev is there",
                &["proof"],
                None,
            ),
        ]
    }

    #[test]
    fn findings_are_drawn_the_worst_first_with_evidence_and_fix() {
        insta::assert_snapshot!(render(&findings(), &Style::PLAIN), @r"
        Problems
          tasks       2 tasks stopped: the image is not in its repository
              CannotPullContainerError:  [2Jnot found
              fix: orderctl push IMAGE

        Not known
          roles       iam:GetRole is not permitted

        Fine
          logs        log group /ecs/order-api-dev is there
        ");
        assert_eq!(
            summary(&findings()),
            "1 problem, 0 warnings, 1 fine, 1 not known."
        );
        assert_eq!(summary(&[]), "no problem, 0 warnings, 0 fine.");
    }

    #[test]
    fn programs_get_all_of_it() {
        let json = to_json(&findings(), "dev", false);
        assert_eq!(json["problems"], 1);
        assert_eq!(json["examined"], "stack");
        assert_eq!(json["findings"][0]["severity"], "problem");
        assert_eq!(json["findings"][0]["fix"], "orderctl push IMAGE");
        assert_eq!(json["findings"][2]["evidence"], json!(["proof"]));
        assert_eq!(json["findings"][1]["fix"], Value::Null);
    }
}
