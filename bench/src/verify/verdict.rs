//! What was found, as a verdict. Pure.

use super::{Found, Ledger, Received};
use crate::outcome::{Verdict, Verification};
use crate::plan::{Plan, Topics};

/// What ledgers and consumers say before anything is read back.
pub fn sums(ledgers: &[Ledger], received: &[Received]) -> Verification {
    let of = |count: fn(&Ledger) -> u64| ledgers.iter().map(count).sum::<u64>();
    Verification {
        acknowledged: of(Ledger::records),
        unverified: of(Ledger::unverified),
        in_doubt: of(Ledger::doubtful),
        reordered: of(Ledger::reordered).max(received.iter().map(|one| one.reordered).sum()),
        duplicated: received.iter().map(|one| one.repeated).sum(),
        changed: received.iter().map(|one| one.changed).sum(),
        gaps: received.iter().map(|one| one.gaps).sum(),
        ..Verification::default()
    }
}

/// Adds what was read back. What consumers have found already is not counted twice.
pub fn add(verification: &mut Verification, found: &Found) {
    verification.missing += found.missing;
    verification.duplicated = verification.duplicated.max(found.duplicated);
    verification.changed = verification.changed.max(found.changed);
    verification.gaps = verification.gaps.max(found.gaps);
    verification.foreign += found.foreign;
    verification.removed += found.removed;
    verification.in_doubt_found += found.in_doubt_found;
}

/// Judges the counts. `found` is what was read back, or why that was not possible.
pub fn judge(plan: &Plan, verification: &mut Verification, found: Result<&Found, String>) {
    let (verdict, reason) = match found {
        _ if is_wrong(plan, verification) => (Verdict::Failed, None),
        Err(reason) => (Verdict::Not, Some(reason)),
        Ok(found) => of_found(plan, verification, found),
    };
    verification.verdict = verdict;
    verification.reason = reason;
}

fn is_wrong(plan: &Plan, verification: &Verification) -> bool {
    let Verification { missing, duplicated, reordered, changed, gaps, foreign, unverified, .. } = *verification;
    // Once the ledger is full, what was acknowledged after that looks as if it came from others.
    let foreign = if unverified > 0 { 0 } else { foreign };
    // Others may write to a topic that is not the run's own.
    let unheard = plan.produce.as_ref().is_some_and(|produce| produce.acks == 0);
    let strange = if matches!(plan.topics, Topics::Own { .. }) && !unheard { gaps + foreign } else { 0 };
    missing + duplicated + reordered + changed + strange > 0
}

fn of_found(plan: &Plan, verification: &Verification, found: &Found) -> (Verdict, Option<String>) {
    let no_answers = plan.produce.as_ref().is_some_and(|produce| produce.acks == 0);
    if no_answers {
        return (Verdict::Not, Some(format!("acks=0: nothing is acknowledged; {} records are there", total(found))));
    }
    if found.rewritten > 0 {
        let why = "cannot be verified: the broker puts its own timestamps or compression into batches";
        return (Verdict::Not, Some(why.to_owned()));
    }
    if verification.acknowledged == 0 {
        return (Verdict::Not, Some("nothing was acknowledged".to_owned()));
    }
    if verification.unverified > 0 {
        let why = format!("{} records are more than the ledger holds", verification.unverified);
        return (Verdict::Partly, Some(why));
    }
    if found.removed > 0 {
        let why = format!("retention removed {} records before they were read back", found.removed);
        return (Verdict::Partly, Some(why));
    }
    let read = found.removed_after_reading;
    (Verdict::Verified, (read > 0).then(|| format!("retention removed {read} records after a consumer had read them")))
}

fn total(found: &Found) -> u64 {
    found.right + found.foreign + found.in_doubt_found + found.duplicated + found.rewritten
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(found: Found, change: impl Fn(&mut Plan, &mut Verification)) -> (Verdict, Option<String>) {
        let mut plan = Plan::new("produce", "h:1");
        let mut verification = Verification { acknowledged: 10, ..Verification::default() };
        change(&mut plan, &mut verification);
        add(&mut verification, &found);
        judge(&plan, &mut verification, Ok(&found));
        (verification.verdict, verification.reason)
    }

    #[test]
    fn only_what_is_wholly_right_is_verified() {
        let right = Found { right: 10, ..Found::default() };
        assert_eq!(judged(right, |_, _| ()), (Verdict::Verified, None));
        let wrong = [
            Found { missing: 1, ..right },
            Found { duplicated: 1, ..right },
            Found { changed: 1, ..right },
            Found { gaps: 1, ..right },
            Found { foreign: 1, ..right },
            Found { missing: 1, removed: 1, ..right },
        ];
        for found in wrong {
            assert_eq!(judged(found, |_, _| ()), (Verdict::Failed, None), "{found:?}");
        }
        assert_eq!(judged(right, |_, verification| verification.reordered = 1).0, Verdict::Failed);
        assert_eq!(judged(right, |_, verification| verification.changed = 1).0, Verdict::Failed);
        assert_eq!(judged(Found { removed: 1, ..right }, |_, _| ()).0, Verdict::Partly);
        assert_eq!(judged(right, |_, verification| verification.unverified = 1).0, Verdict::Partly);
        let beyond_the_ledger = Found { foreign: 5, ..right };
        assert_eq!(judged(beyond_the_ledger, |_, verification| verification.unverified = 5).0, Verdict::Partly);
        assert_eq!(judged(right, |_, verification| verification.acknowledged = 0).0, Verdict::Not);
        let (verdict, reason) = judged(Found { removed_after_reading: 1, ..right }, |_, _| ());
        assert!(verdict == Verdict::Verified && reason.unwrap().contains("after a consumer had read them"));
        assert_eq!(judged(Found { in_doubt_found: 1, ..right }, |_, _| ()).0, Verdict::Verified);
        assert_eq!(judged(Found { rewritten: 10, ..Found::default() }, |_, _| ()).0, Verdict::Not);
    }

    #[test]
    fn what_consumers_found_is_not_counted_twice() {
        let received = Received { repeated: 3, changed: 2, gaps: 5, ..Received::default() };
        let mut verification = sums(&[], &[received.clone(), received]);
        assert_eq!((verification.duplicated, verification.changed, verification.gaps), (6, 4, 10));
        add(&mut verification, &Found { duplicated: 3, changed: 8, gaps: 5, ..Found::default() });
        assert_eq!((verification.duplicated, verification.changed, verification.gaps), (6, 8, 10));
    }

    #[test]
    fn others_may_write_to_topics_that_are_not_the_runs_own() {
        let found = Found { right: 10, foreign: 3, gaps: 1, ..Found::default() };
        let existing = |plan: &mut Plan, _: &mut Verification| plan.topics = Topics::Existing(vec!["t".to_owned()]);
        assert_eq!(judged(found, existing), (Verdict::Verified, None));
    }

    #[test]
    fn without_answers_there_is_nothing_to_verify() {
        let found = Found { foreign: 7, ..Found::default() };
        let (verdict, reason) = judged(found, |plan, verification| {
            plan.produce.as_mut().unwrap().acks = 0;
            verification.acknowledged = 0;
        });
        assert_eq!(verdict, Verdict::Not);
        assert!(reason.unwrap().contains("7 records are there"));
    }
}
