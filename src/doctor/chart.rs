//! Where an area writes down what it finds.

use std::collections::BTreeMap;

use super::{Finding, Severity};
use crate::resource::{Class, Error, Result};

/// What one area has found so far.
pub(super) struct Chart {
    area: &'static str,
    findings: Vec<Finding>,
}

impl Chart {
    pub(super) fn of(area: &'static str) -> Self {
        Self {
            area,
            findings: Vec::new(),
        }
    }

    /// Something does not work.
    pub(super) fn problem(&mut self, title: impl Into<String>) -> &mut Finding {
        self.add(Severity::Problem, title)
    }

    /// Something works and deserves a look.
    pub(super) fn warning(&mut self, title: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, title)
    }

    /// Something could not be found out.
    pub(super) fn unknown(&mut self, title: impl Into<String>) -> &mut Finding {
        self.add(Severity::Unknown, title)
    }

    /// Something is well.
    pub(super) fn fine(&mut self, title: impl Into<String>) -> &mut Finding {
        self.add(Severity::Fine, title)
    }

    /// Something of this severity.
    pub(super) fn add(&mut self, severity: Severity, title: impl Into<String>) -> &mut Finding {
        let at = self.findings.len();
        self.findings.push(Finding {
            severity,
            area: self.area,
            title: title.into(),
            evidence: Vec::new(),
            fix: None,
        });
        &mut self.findings[at]
    }

    /// AWS did not say what was asked.
    pub(super) fn failed(&mut self, error: &Error) {
        let operation = error.operation();
        if error.class() == Class::Denied {
            self.unknown(format!("{operation} is not permitted"))
                .shown_by([error.to_string()])
                .mended_by(format!("allow {operation} to these credentials"));
        } else {
            let finding = self.unknown(format!("{operation} failed"));
            finding.shown_by([error.to_string()]);
            finding.fix = error.advice().map(str::to_owned);
        }
    }

    /// Says whether nothing bad was found so far.
    pub(super) fn is_well(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity == Severity::Fine)
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

impl Finding {
    /// Adds what shows it.
    pub(super) fn shown_by(
        &mut self,
        evidence: impl IntoIterator<Item = impl Into<String>>,
    ) -> &mut Self {
        self.evidence.extend(evidence.into_iter().map(Into::into));
        self
    }

    /// Says what mends it.
    pub(super) fn mended_by(&mut self, fix: impl Into<String>) -> &mut Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Lets an area look. What it has found when a call fails stays.
pub(super) async fn charted(
    area: &'static str,
    look: impl AsyncFnOnce(&mut Chart) -> Result<()>,
) -> Vec<Finding> {
    let mut chart = Chart::of(area);
    if let Err(error) = look(&mut chart).await {
        chart.failed(&error);
    }
    chart.into_findings()
}

/// The findings of all areas, the worst first, otherwise in the order of the areas. A call that
/// several areas were refused is told once.
pub(super) fn merged(areas: impl IntoIterator<Item = Vec<Finding>>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for finding in areas.into_iter().flatten() {
        if finding.severity == Severity::Unknown {
            if let Some(&at) = refused.get(&finding.title) {
                let also = format!("also needed for {}", finding.area);
                if all[at].area != finding.area && !all[at].evidence.contains(&also) {
                    all[at].evidence.push(also);
                }
                continue;
            }
            refused.insert(finding.title.clone(), all.len());
        }
        all.push(finding);
    }
    all.sort_by_key(|finding| finding.severity);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Error {
        Error::new("ecs:DescribeServices", Class::Denied, "no").with_code("AccessDeniedException")
    }

    #[tokio::test]
    async fn what_was_found_before_a_refusal_stays() {
        let found = charted("tasks", async |chart: &mut Chart| {
            chart.problem("it is broken").mended_by("mend it");
            Err(denied())
        })
        .await;
        assert_eq!(found[0].title, "it is broken");
        assert_eq!(found[1].severity, Severity::Unknown);
        assert_eq!(found[1].title, "ecs:DescribeServices is not permitted");
        assert!(
            found[1].evidence[0].contains("AccessDeniedException"),
            "{found:?}"
        );
        assert_eq!(
            found[1].fix.as_deref(),
            Some("allow ecs:DescribeServices to these credentials")
        );
    }

    #[test]
    fn the_worst_comes_first_and_one_refusal_is_told_once() {
        let of = |area, severity| {
            let mut chart = Chart::of(area);
            chart.add(severity, format!("{area} is something"));
            chart.failed(&denied());
            chart.into_findings()
        };
        let found = merged([
            of("tasks", Severity::Fine),
            of("image", Severity::Warning),
            of("roles", Severity::Problem),
        ]);
        let areas: Vec<_> = found.iter().map(|finding| finding.area).collect();
        assert_eq!(areas, ["roles", "image", "tasks", "tasks"]);
        assert_eq!(found[2].severity, Severity::Unknown);
        assert_eq!(
            found[2].evidence[1..],
            ["also needed for image", "also needed for roles"]
        );
    }
}
