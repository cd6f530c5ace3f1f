use std::future::pending;

use serde_json::Value;
use tokio::time::timeout;

use super::*;
use crate::engine::{Action, Phase};
use crate::resource::Address;
use crate::ui::PrinterOptions;
use crate::ui::printer::testing::{captured, on_terminal};

const CREATE: Phase = Phase::Make(Action::Create);

fn address(name: &str) -> Address {
    Address::new(name).unwrap()
}

fn started(kind: &str, name: &str, phase: Phase, typical: u64) -> Event {
    let typical = Duration::from_secs(typical);
    Event::Started {
        address: address(name),
        kind: kind.to_owned(),
        phase,
        typical,
    }
}

fn waiting(name: &str, reason: &str) -> Event {
    Event::Waiting {
        address: address(name),
        reason: reason.to_owned(),
    }
}

fn done(name: &str, phase: Phase, millis: u64) -> Event {
    Event::Done {
        address: address(name),
        phase,
        took: Duration::from_millis(millis),
    }
}

/// Lets virtual time go by, and everything happen that happens in it.
async fn pass(seconds: f64) {
    let nothing = timeout(Duration::from_secs_f64(seconds), pending::<()>()).await;
    assert!(nothing.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_log_has_a_line_for_all_that_ends_and_half_minute_words_for_what_takes_long() {
    let (printer, out, err) = captured(PrinterOptions::default());
    let (events, follower) = follow(&printer, Some(5));
    events.send(Event::Observed { done: 1, total: 5 });
    events.send(started("ec2/vpc", "vpc", CREATE, 1));
    events.send(done("vpc", CREATE, 1234));
    events.send(started("rds/db_cluster", "db-cluster", CREATE, 90));
    events.send(Event::Created {
        address: address("db-cluster"),
    });
    for _ in 0..13 {
        events.send(waiting("db-cluster", "creating"));
        pass(5.0).await;
    }
    events.send(done("db-cluster", CREATE, 65_000));
    events.send(started("ec2/nat_gateway", "nat-gateway-1", CREATE, 100));
    events.send(Event::Failed {
        address: address("nat-gateway-1"),
        error: "ec2:X: no".into(),
    });
    events.send(Event::Skipped {
        address: address("nat-route-1"),
        needs: "nat-gateway-1".into(),
    });
    events.send(Event::Skipped {
        address: address("service"),
        needs: "the run to go on".into(),
    });
    follower.finish().await;
    insta::assert_snapshot!(err.text(), @r"
    created ec2/vpc vpc (1.2 s)
    creating rds/db_cluster db-cluster, usually 1m30s
    waiting for rds/db_cluster db-cluster: creating, 30 s so far, usually 1m30s
    waiting for rds/db_cluster db-cluster: creating, 1m so far, usually 1m30s
    created rds/db_cluster db-cluster (1m05s)
    creating ec2/nat_gateway nat-gateway-1, usually 1m40s
    failed to create ec2/nat_gateway nat-gateway-1: ec2:X: no
    skipped nat-route-1 (needs nat-gateway-1)
    ");
    assert_eq!(out.text(), "");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_never_answers_is_named_too() {
    let (printer, _, err) = captured(PrinterOptions::default());
    let (events, follower) = follow(&printer, None);
    events.send(started("ec2/vpc", "vpc", CREATE, 1));
    pass(31.5).await;
    follower.finish().await;
    let expected = "waiting for ec2/vpc vpc: no answer yet, 30 s so far, usually 1 s";
    assert_eq!(err.lines(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_said_at_once_and_are_all_that_quiet_says() {
    let (printer, _, err) = captured(PrinterOptions {
        quiet: true,
        ..PrinterOptions::default()
    });
    let (events, follower) = follow(&printer, Some(2));
    events.send(started("ec2/vpc", "vpc", Phase::Remove, 60));
    events.send(started("ec2/eip", "eip", CREATE, 1));
    events.send(done("eip", CREATE, 10));
    events.send(Event::Failed {
        address: address("vpc"),
        error: "in\nuse\u{1b}[2J".to_owned(),
    });
    pass(0.01).await;
    assert_eq!(err.lines(), ["failed to delete ec2/vpc vpc: in use [2J"]);
    pass(120.0).await;
    follower.finish().await;
    assert_eq!(err.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn json_has_one_object_per_event_on_stdout() {
    let (printer, out, err) = captured(PrinterOptions {
        json: true,
        ..PrinterOptions::default()
    });
    let (events, follower) = follow(&printer, Some(1));
    events.send(Event::Observed { done: 1, total: 1 });
    events.send(started("ec2/vpc", "vpc", CREATE, 1));
    events.send(waiting("vpc", "pending"));
    events.send(done("vpc", CREATE, 1500));
    follower.finish().await;
    let lines: Vec<Value> = out
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["started", "waiting", "done"]);
    assert!(
        lines
            .iter()
            .all(|line| line["kind"] == "ec2/vpc" && line["version"] == 1)
    );
    assert!(
        lines
            .iter()
            .all(|line| line["at"].as_str().unwrap().parse::<Timestamp>().is_ok())
    );
    assert_eq!(err.text(), "");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_stays_empty_for_a_quarter_of_a_second() {
    let (printer, err) = on_terminal(PrinterOptions::default());
    let (events, follower) = follow(&printer, None);
    for at in 1..=34 {
        events.send(Event::Observed {
            done: at,
            total: 34,
        });
    }
    pass(0.24).await;
    follower.finish().await;
    assert_eq!(err.text().trim(), "");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_shows_rows_while_it_lasts_and_keeps_lines_for_what_is_over() {
    let (printer, err) = on_terminal(PrinterOptions::default());
    let (events, follower) = follow(&printer, Some(4));
    events.send(Event::Observed { done: 3, total: 34 });
    pass(0.5).await;
    assert!(
        err.text().contains("reading the cloud 3/34"),
        "{}",
        err.text()
    );
    events.send(started("ec2/vpc", "vpc", CREATE, 1));
    events.send(done("vpc", CREATE, 1234));
    events.send(started("ec2/nat_gateway", "nat-gateway-1", CREATE, 100));
    events.send(waiting("nat-gateway-1", "pending"));
    pass(62.0).await;
    let text = crate::ui::style::without_colours(&err.text());
    assert!(text.contains("created ec2/vpc vpc (1.2 s)"), "{text}");
    let row = "creating ec2/nat_gateway nat-gateway-1 (1m01s, usually 1m40s): pending";
    assert!(text.contains(row), "{text}");
    assert!(
        text.contains("━━━━━━────────────────── 1/4 done, 1 running, 1m02s"),
        "{text}"
    );
    // Something said meanwhile does not wait for the end.
    printer.note("a note");
    assert!(err.text().contains("a note\n"));
    events.send(done("nat-gateway-1", CREATE, 63_000));
    follower.finish().await;
    let text = crate::ui::style::without_colours(&err.text());
    assert!(
        text.contains("created ec2/nat_gateway nat-gateway-1 (1m03s)"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_steps_does_not_fill_the_terminal() {
    let now = Instant::now();
    let mut board = Board::new(Some(40), now);
    for at in 0..40 {
        board.take(
            started("a/b", &format!("node-{at}"), CREATE, 1),
            now,
            Style::PLAIN,
        );
    }
    let rows = board.rows(now, Style::PLAIN);
    assert_eq!(rows.len(), 14);
    assert!(
        rows[0].contains("node-0 "),
        "the longest running comes first: {}",
        rows[0]
    );
    assert_eq!(rows[12], "  … and 28 more");
}

#[tokio::test(start_paused = true)]
async fn a_replacement_counts_once_and_only_when_both_steps_are_done() {
    let now = Instant::now();
    let mut board = Board::new(Some(1), now);
    let replace = Phase::Make(Action::Replace);
    let mut say = |event| board.take(event, now, Style::PLAIN).map(|line| line.text);
    say(started("a/b", "node", Phase::Remove, 1));
    assert_eq!(
        say(done("node", Phase::Remove, 1000)).unwrap(),
        "deleted a/b node (1.0 s)"
    );
    say(started("a/b", "node", replace, 1));
    assert!(board.rows(now, Style::PLAIN)[1].contains("0/1 done, 1 running"));
    let line = board
        .take(done("node", replace, 2000), now, Style::PLAIN)
        .unwrap();
    assert_eq!(line.text, "replaced a/b node (2.0 s)");
    assert!(board.rows(now, Style::PLAIN)[0].contains("1/1 done, 0 running"));
}

#[tokio::test(start_paused = true)]
async fn the_last_look_says_how_long_it_takes() {
    let (printer, _, err) = captured(PrinterOptions::default());
    let (events, follower) = follow(&printer, None);
    let reason = "log groups that AWS may write again".to_owned();
    events.send(Event::Settling {
        reason,
        during: Duration::from_secs(60),
    });
    follower.finish().await;
    assert_eq!(
        err.lines(),
        ["waiting 1m for log groups that AWS may write again"]
    );
}
