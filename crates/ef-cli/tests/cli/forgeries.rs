//! Changes to a stored run, and what verifying it says of them.

/// What is changed, by which statement, and what the report says of it.
pub(crate) const FORGERIES: &[(&str, &str, &str)] = &[
    (
        "a payload's content",
        "UPDATE payloads SET content = '\"furst\"' WHERE content = '\"first\"'",
        "payloads FAILED: item aa (row 1): its input is damaged",
    ),
    (
        "a payload, taken out",
        "DELETE FROM payloads WHERE content = '\"second\"'",
        "payloads FAILED: item bb (row 2): its input, the payload ",
    ),
    (
        "a payload's name in its record",
        "UPDATE traces SET input = (SELECT input FROM traces WHERE row = 1) WHERE row = 2",
        "records FAILED: item bb (row 2): it does not have the digest",
    ),
    (
        "a score",
        "UPDATE traces SET judgments = replace(judgments, '\"score\":false', '\"score\":true') WHERE row = 2",
        "records FAILED: item bb (row 2): it does not have the digest",
    ),
    (
        "a judgment's status",
        "UPDATE traces SET judgments = replace(judgments, '\"scored\"', '\"unscored\"') WHERE row = 6",
        "records FAILED: item ff (row 6): it does not have the digest",
    ),
    (
        "a judge's error",
        "UPDATE traces SET judgments = replace(judgments, '\"message\":\"', '\"message\":\"not ') WHERE row = 5",
        "records FAILED: item ee (row 5): it does not have the digest",
    ),
    (
        "a status",
        "UPDATE traces SET status = 'error', error = '{\"kind\":\"permanent\",\"code\":\"c\",\"message\":\"m\"}',
         judgments = '[]' WHERE row = 1",
        "records FAILED: item aa (row 1): it does not have the digest",
    ),
    (
        "a status that has no meaning",
        "UPDATE traces SET status = 'okay' WHERE row = 1",
        "cannot be read: row 1: an unexpected value in column status",
    ),
    (
        "an error's message",
        "UPDATE traces SET error = replace(error, '\"message\":\"', '\"message\":\"not ') WHERE row = 4",
        "records FAILED: item dd (row 4): it does not have the digest",
    ),
    (
        "a fault",
        "UPDATE traces SET fault = json_set(fault, '$.bytes', 1) WHERE row = 3",
        "records FAILED: item dataset:3 (row 3): it does not have the digest",
    ),
    (
        "an item's id",
        "UPDATE traces SET item_id = 'zz' WHERE row = 2",
        "records FAILED: item zz (row 2): it does not have the digest",
    ),
    (
        "a row",
        "UPDATE traces SET row = 7 WHERE row = 2",
        "records FAILED: item bb (row 7): it does not have the digest",
    ),
    (
        "a repeat",
        "UPDATE traces SET repeat = 1 WHERE row = 2",
        "records FAILED: item bb (row 2, repeat 1): it does not have the digest",
    ),
    (
        "a revision",
        "UPDATE traces SET revision = 1 WHERE row = 2",
        "records FAILED: item bb (row 2, revision 1): it does not have the digest",
    ),
    (
        "a leaf",
        "UPDATE traces SET leaf = (SELECT leaf FROM traces WHERE row = 1) WHERE row = 2",
        "records FAILED: item bb (row 2): it does not have the digest",
    ),
    (
        "attempts",
        "UPDATE traces SET attempts = attempts + 1 WHERE row = 2",
        "records FAILED: item bb (row 2): it does not have the digest",
    ),
    (
        "a time",
        "UPDATE traces SET started_at_us = started_at_us - 1 WHERE row = 2",
        "records FAILED: item bb (row 2): it does not have the digest",
    ),
    (
        "a duration",
        "UPDATE traces SET duration_us = duration_us + 1 WHERE row = 2",
        "records FAILED: item bb (row 2): it does not have the digest",
    ),
    (
        "the evaluator's identity",
        "UPDATE components SET identity = json_set(identity, '$.version', '9') WHERE identity ->> 'name' IS NULL",
        "components FAILED: item aa (row 1): it names another evaluator than the run's",
    ),
    (
        "a judge's identity",
        "UPDATE components SET identity = json_set(identity, '$.version', '9') WHERE identity ->> 'name' = 'right'",
        "components FAILED: item aa (row 1): it names a judge that is not the run's",
    ),
    (
        "a record taken out of the middle",
        "DELETE FROM traces WHERE row = 2",
        "root FAILED: records are missing: the result counts 6, and there are 5. The rows jump from item aa (row 1)",
    ),
    (
        "the last record taken out",
        "DELETE FROM traces WHERE row = 6",
        "root FAILED: records are missing: the result counts 6, and there are 5. The last record is item ee (row 5)",
    ),
    (
        "a copy of a record under another name",
        "INSERT INTO traces SELECT run, 7, repeat, revision, 'gg', evaluator, status, attempts, started_at_us, duration_us,
         input, reference_output, item_metadata, output, output_metadata, error, fault, usage, judgments, leaf
         FROM traces WHERE row = 6",
        "records FAILED: item gg (row 7): it does not have the digest",
    ),
    (
        "two records in one another's place",
        "UPDATE traces SET row = 99 WHERE row = 1; UPDATE traces SET row = 1 WHERE row = 2;
         UPDATE traces SET row = 2 WHERE row = 99",
        "records FAILED: item bb (row 1): it does not have the digest that was stored with it (and 1 more)",
    ),
    (
        "the spec's snapshot",
        "UPDATE runs SET head = json_set(head, '$.spec.runtime.seed', 7)",
        "spec FAILED: the spec's snapshot does not have the digest",
    ),
    (
        "the spec's snapshot with its digest",
        "UPDATE runs SET head = json_set(head, '$.spec_digest', '0000000000000000000000000000000000000000000000000000000000000000')",
        "root FAILED: the records are whole, and the root digest is not",
    ),
    (
        "when the run began",
        "UPDATE runs SET head = json_set(head, '$.started_at_us', 1)",
        "run FAILED: /started_at_us is not the same in what began and in its result",
    ),
    ("the run's status", "UPDATE runs SET status = 'aborted'", "run FAILED: it is aborted, and its result says completed"),
    ("the run's result", "UPDATE runs SET result = NULL", "run FAILED: it is completed, and its result is missing"),
    (
        "a metric's value",
        "UPDATE runs SET result = json_set(result, '$.metrics[0].value', 1.0)",
        "metrics FAILED: value of accuracy is not what the records give",
    ),
    (
        "a metric's interval",
        "UPDATE runs SET result = json_set(result, '$.metrics[0].ci_low', 0.9)",
        "metrics FAILED: ci_low of accuracy is not what the records give",
    ),
    (
        "a count",
        "UPDATE runs SET result = json_set(result, '$.counts.error', 0)",
        "counts FAILED: error is 0 in the result, and the records come to 1",
    ),
    (
        "the root over the records",
        "UPDATE runs SET result = json_set(result, '$.records_root', json_extract(result, '$.root_digest'))",
        "root FAILED: the records have the root digest, and the result names another root over them",
    ),
    (
        "the root digest",
        "UPDATE runs SET result = json_set(result, '$.root_digest', json_extract(result, '$.records_root'))",
        "root FAILED: the records are whole, and the root digest is not",
    ),
    (
        "the dataset's digest",
        "UPDATE runs SET result = json_set(result, '$.dataset_digest', json_extract(result, '$.records_root'))",
        "root FAILED: the records are whole, and the root digest is not",
    ),
    (
        "when the run ended",
        "UPDATE runs SET result = json_set(result, '$.finished_at_us', 1)",
        "artifact FAILED: ./runs/one.json differs from the result in the store at /finished_at_us",
    ),
];
