//! What people see of a verification, as snapshots.

use ef_model::{
    Check, CheckResult, CheckSubject, Digest, ItemId, RecordPlace, RunId, RunStatus, Verification, VerificationOutcome,
};
use ef_report::{Style, verification, verification_json};
use insta::assert_snapshot;

const PLAIN: Style = Style { color: false, width: None };

fn check(subject: CheckSubject, result: CheckResult, message: &str) -> Check {
    Check { subject, result, message: message.to_owned(), record: None }
}

fn verified() -> Verification {
    Verification {
        run_id: RunId::new("nightly-7").expect("an id"),
        status: RunStatus::Completed,
        records: 1319,
        records_root: Some(Digest::of(b"records")),
        root_digest: Some(Digest::of(b"root")),
        checks: vec![
            check(CheckSubject::Records, CheckResult::Passed, "1319, and each has the digest that was stored with it"),
            check(CheckSubject::Root, CheckResult::Passed, "all records and the identities have the root digest"),
            check(CheckSubject::Dataset, CheckResult::NotChecked, "it is not in the store"),
        ],
    }
}

fn failed() -> Verification {
    let mut failed = verified();
    let place = RecordPlace { item_id: ItemId::new("a\u{202e}b").expect("an id"), row: 3, repeat: 1, revision: 0 };
    failed.checks[0] = Check {
        record: Some(place.clone()),
        ..check(CheckSubject::Records, CheckResult::Failed, &format!("{place}: wrong"))
    };
    failed.checks[1].result = CheckResult::Failed;
    failed
}

fn unfinished() -> Verification {
    let mut unfinished = verified();
    unfinished.status = RunStatus::Aborted;
    unfinished.root_digest = None;
    unfinished.checks[1] = check(CheckSubject::Root, CheckResult::NotChecked, "the run is aborted");
    unfinished
}

#[test]
fn a_verified_run_shows_its_root_digest() {
    assert_eq!(verified().outcome(), VerificationOutcome::Verified);
    assert_snapshot!(verification(&verified(), PLAIN));
}

#[test]
fn a_failed_check_stands_out_and_hostile_ids_do_nothing() {
    assert_eq!(failed().outcome(), VerificationOutcome::Failed);
    assert_snapshot!(verification(&failed(), PLAIN));
    assert_snapshot!("failed_json", verification_json(&failed()));
}

#[test]
fn a_run_without_a_root_is_not_called_verified() {
    assert_eq!(unfinished().outcome(), VerificationOutcome::Unfinished);
    assert_snapshot!(verification(&unfinished(), PLAIN));
}

#[test]
fn colour_comes_only_when_asked_for_and_lines_fit_the_terminal() {
    let colored = verification(&failed(), Style { color: true, width: Some(60) });
    assert_snapshot!(colored.replace('\u{1b}', "ESC"));
    assert!(!verification(&failed(), Style { color: false, width: Some(60) }).contains('\u{1b}'));
}

#[test]
fn a_check_made_elsewhere_stands_at_its_place() {
    let mut verification = verified();
    verification.add(check(CheckSubject::Artifact, CheckResult::Passed, "x"));
    let order: Vec<_> = verification.checks.iter().map(|check| check.subject.as_str()).collect();
    assert_eq!(order, ["records", "root", "artifact", "dataset"]);
}
