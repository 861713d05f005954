//! Columns become fields as they are mapped, and nothing of a row is lost.

use ef_dataset::Format;
use ef_model::ItemField::{self, Input, ItemId, Metadata, ReferenceOutput};

use crate::{dataset, options, render};

fn line<const N: usize>(fields: [(ItemField, &str); N], line: &str) -> String {
    render(dataset(line, options(Format::Jsonl, fields)))
}

#[test]
fn columns_that_are_not_mapped_go_to_metadata_byte_for_byte_in_their_order() {
    assert_eq!(
        line([(Input, "q")], r#"{"z":1.00,"q":"x", "a" : { "k":[1, 2e5] }, "\u0062\"":null}"#),
        "row 1: dev:1: input \"x\", metadata {\"z\":1.00,\"a\":{ \"k\":[1, 2e5] },\"b\\\"\":null}\nend\n"
    );
}

#[test]
fn a_column_of_which_a_part_was_taken_stays_in_metadata() {
    assert_eq!(
        line([(Input, "q"), (ReferenceOutput, "a.b")], r#"{"q":1,"a":{"b":2,"c":3}}"#),
        "row 1: dev:1: input 1, reference 2, metadata {\"a\":{\"b\":2,\"c\":3}}\nend\n"
    );
}

#[test]
fn a_columns_own_name_comes_before_a_path() {
    assert_eq!(
        line([(Input, "a.b")], r#"{"a":{"b":1},"a.b":2}"#),
        "row 1: dev:1: input 2, metadata {\"a\":{\"b\":1}}\nend\n"
    );
}

#[test]
fn a_field_without_a_mapping_is_taken_from_the_column_of_its_name() {
    assert_eq!(
        line([(ReferenceOutput, "gold")], r#"{"gold":"g","input":1,"item_id":"a","metadata":{"m":1}}"#),
        "row 1: a: input 1, reference \"g\", metadata {\"m\":1}\nend\n"
    );
}

#[test]
fn a_column_that_is_mapped_to_one_field_is_not_taken_for_another() {
    assert_eq!(
        line([(Input, "reference_output")], r#"{"reference_output":"x","input":"y"}"#),
        "row 1: dev:1: input \"x\", metadata {\"input\":\"y\"}\nend\n"
    );
}

#[test]
fn one_column_can_be_mapped_to_two_fields() {
    assert_eq!(
        line([(Input, "q"), (ReferenceOutput, "q")], r#"{"q":"x"}"#),
        "row 1: dev:1: input \"x\", reference \"x\"\nend\n"
    );
}

#[test]
fn a_mapped_metadata_object_comes_first_and_is_kept_as_it_is_when_alone() {
    assert_eq!(
        line(
            [(Input, "q"), (Metadata, "m")],
            "{\"b\":1,\"q\":0,\"m\":{ \"x\" : 1 }}\n{\"q\":0,\"m\":{ \"x\" : 1 }}\n{\"m\":{},\"q\":0,\"c\":2}\n{\"m\":null,\"q\":0,\"c\":2}\n{\"q\":0,\"m\":{ }}"
        ),
        "row 1: dev:1: input 0, metadata {\"x\" : 1,\"b\":1}\n\
         row 2: dev:2: input 0, metadata { \"x\" : 1 }\n\
         row 3: dev:3: input 0, metadata {\"c\":2}\n\
         row 4: dev:4: input 0, metadata {\"c\":2}\n\
         row 5: dev:5: input 0, metadata { }\nend\n"
    );
}

#[test]
fn a_later_row_may_lack_what_is_optional() {
    assert_eq!(
        line(
            [(Input, "a.q"), (ReferenceOutput, "r.t"), (ItemId, "id")],
            "{\"a\":{\"q\":1},\"r\":null,\"id\":\"x\"}\n{\"a\":{\"q\":2}}\n{\"a\":null,\"r\":{\"t\":5}}"
        ),
        "row 1: x: input 1, metadata {\"a\":{\"q\":1},\"r\":null}\n\
         row 2: dev:2: input 2, metadata {\"a\":{\"q\":2}}\n\
         row 3: dev:3: malformed: dev:3: it has no \"a.q\" to take the item's input from [22 bytes]\nend\n"
    );
}

#[test]
fn csv_cells_become_json_strings() {
    assert_eq!(
        render(dataset(
            "id,q,gold,topic\n7,2+2,4,\n",
            options(Format::Csv, [(Input, "q"), (ReferenceOutput, "gold"), (ItemId, "id")])
        )),
        "row 1: 7: input \"2+2\", reference \"4\", metadata {\"topic\":\"\"}\nend\n"
    );
}
