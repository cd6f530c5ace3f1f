//! Area `credentials`: who calls, and for how long.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::super::Chart;
use super::Needs;
use crate::aws::Aws;
use crate::resource::Result;

pub(super) const AREA: &str = "credentials";

/// How long a first `up` takes at most, with some time to spare: Aurora is the longest part of it.
const LONGEST_UP: Duration = Duration::from_secs(30 * 60);

pub(super) async fn look(_aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    let who = format!("{} in account {}", needs.caller, needs.account);
    if let Some(end) = needs.credentials_end
        && end < SystemTime::now() + LONGEST_UP
    {
        let at = Timestamp::try_from(end).map(|end| end.to_string());
        chart
            .warning("the credentials end before a first `up` is through")
            .shown_by([
                who.clone(),
                format!("they end at {}", at.unwrap_or_default()),
                "a run that loses them stops; the same command goes on where it was".to_owned(),
            ])
            .mended_by("log in again (`aws sso login`), or take credentials that renew themselves");
    } else {
        chart.fine(format!("the caller is {who}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{found, is_fine, only_bad};
    use super::super::testing::needs;
    use super::*;
    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn credentials_that_end_too_soon_are_told() {
        let aws = mocked(&[]);
        for (seconds, is_enough) in [(60, false), (3600, true)] {
            let end = SystemTime::now() + Duration::from_secs(seconds);
            let needs = Needs {
                credentials_end: Some(end),
                ..needs()
            };
            let all = found(async |chart: &mut Chart| look(&aws, &needs, chart).await).await;
            match is_enough {
                true => is_fine(&all),
                false => assert!(only_bad(&all).title.contains("end before a first `up`")),
            }
        }
    }
}
