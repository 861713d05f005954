//! Judgments that are found again, so that they need not be made again.

use ef_model::{Digest, FoundJudgment, Judgment, RunId, TaskCommit, TaskRecord};

use super::{Backend, append, begun, open, stored};
use crate::{commit, record};

/// By key, whichever run it was; of several with one key the first; what has no key is not found, and neither is what was
/// refused. A backend without keys finds none.
pub async fn judgments_are_found_by_the_keys_that_came_with_them(backend: &dyn Backend) {
    let store = open(backend).await;
    let key = |text: &str| Digest::of(text.as_bytes());
    let [first, second] = [begun(&*store, "first").await, begun(&*store, "second").await];
    let mut two = record(2);
    two.revision = 3;
    two.repeat = 1;
    two.judgments.push(Judgment { judge: crate::judge_identity("other"), ..two.judgments[0].clone() });
    let one = commit(1).with_cache_keys(vec![(0, key("one"))]);
    let two = TaskCommit::new(two, Vec::new()).with_cache_keys(vec![(1, key("two"))]);
    append(&*store, &first, vec![one.clone(), two.clone(), commit(3)]).await;
    append(&*store, &first, vec![one.clone()]).await;
    let again = commit(4).with_cache_keys(vec![(0, key("one")), (0, key("four"))]);
    append(&*store, &second, vec![again.clone()]).await;

    let keys = [key("two"), key("never"), key("one"), key("four"), key("two")];
    let found = store.judgments(&keys).await.expect("readable");
    assert_eq!(store.judgments(&[]).await.expect("readable"), []);
    if !backend.capabilities().judgment_keys {
        assert_eq!(found, vec![None; keys.len()]);
        return;
    }
    let expected = |run_id: &RunId, commit: &TaskCommit, judgment| {
        Some(FoundJudgment { run_id: run_id.clone(), stored: stored(commit), judgment })
    };
    let two = expected(&first, &two, 1);
    assert_eq!(found, [two.clone(), None, expected(&first, &one, 0), expected(&second, &again, 0), two]);

    let impostor = TaskRecord { item_id: record(1).item_id, ..record(9) };
    let refused = TaskCommit::new(impostor, Vec::new()).with_cache_keys(vec![(0, key("refused"))]);
    store.append(&first, [refused].into()).await.expect_err("another row has the item");
    assert_eq!(store.judgments(&[key("refused")]).await.expect("readable"), [None]);
}
