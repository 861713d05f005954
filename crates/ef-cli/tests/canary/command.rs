//! A program that is started for each item.

use crate::way::Way;
use crate::world::World;

/// Does what the item's id says, and quotes all that it knows.
const PROGRAM: &str = r#"#!/bin/sh
read -r item
echo "stderr $STDERR $KEY" >&2
case $item in
  *'"item_id":"exit"'*) echo "$STDOUT $KEY"; exit 3;;
  *'"item_id":"again"'*) echo "$STDOUT"; exit 75;;
  *'"item_id":"signal"'*) kill -9 $$;;
  *'"item_id":"json"'*) echo "{$STDOUT";;
  *'"item_id":"bytes"'*) printf '"%s\377"' "$STDOUT";;
  *'"item_id":"much"'*) yes "$STDOUT" | head -c 20000;;
  *'"item_id":"slow"'*) sleep 30;;
  *) echo "\"$STDOUT\"";;
esac
"#;

#[test]
fn invariant_8_what_a_program_writes_and_is_given_is_not_told() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("program.sh", PROGRAM);
        world.set("STDERR", world.payload("standard error of a command"));
        world.set("STDOUT", world.payload("standard output of a command"));
        world.set("KEY", world.secret("variable of a command"));
        let argument = world.secret("${VAR} in an argument");
        world.set("ARGUMENT", argument);
        let spec = "schema_version: \"1\"\nid: canary/command\nversion: 1.0.0\n\
             evaluator: {id: eval_fabric.command, config: {argv: [sh, program.sh, \"${ARGUMENT}\"], output: json, \
             max_output_bytes: 10000}}\n\
             judges: [{id: eval_fabric.exact_match}]\nruntime: {task_timeout_seconds: 1, max_retries: 1}\n";
        world.write("spec.yaml", spec);
        let input = world.payload("input of a command");
        let row =
            |id: &str| format!("{{\"item_id\": \"{id}\", \"input\": \"{input}\", \"reference_output\": \"x\"}}\n");
        let ids = ["good", "exit", "again", "signal", "json", "bytes", "much", "slow"];
        world.write("data.jsonl", ids.map(row).concat());
        world.ef("run spec.yaml --dataset data.jsonl --run-id one", 0);
        world.tell_everything();
        world.assert_stored(&["input of a command", "standard output of a command", "standard error of a command"]);
        let failed = world.ef("show one --status error --format json", 0).stdout;
        assert_eq!(failed.lines().count(), 6, "{failed}");
        world.ef("run spec.yaml --dataset data.jsonl --dry-run", 0);
        // A program that is gone when it is to be started, and one that cannot be.
        world.write("gone.sh", "#!/no/such/interpreter\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(world.path("gone.sh"), mode).expect("a file of ours");
        }
        world.write("spec.yaml", spec.replace("sh, program.sh", "./gone.sh"));
        world.ef("run spec.yaml --dataset data.jsonl --max-items 1", 0);
        world.assert_silent();
    });
}
