//! `ef plugins lock`, and runs that insist on it.

use crate::folder::assert_seen;
use crate::plugins::{PLUGIN, project, run, seen};

#[test]
fn a_locked_run_refuses_whatever_has_changed_and_says_what() {
    let Some(folder) = project("id: acme.same", "") else { return };
    let ended = run(&folder, "unlocked", "--locked").exits(5);
    assert!(ended.stderr.contains("ef plugins lock"), "{ended}");
    folder.ef("plugins lock").exits(0);
    let lock = folder.read("ef-plugins.lock");
    folder.ef("plugins lock").exits(0);
    assert_eq!(lock, folder.read("ef-plugins.lock"), "the same plugins give the same file");
    run(&folder, "locked", "--locked").exits(0);
    folder.ef("replay locked --judges-only --locked").exits(0);

    folder.write("plugin.py", format!("open('started', 'w')\n{PLUGIN}"));
    let ended = run(&folder, "changed", "--locked").exits(5);
    assert!(ended.stderr.contains("the plugin `acme` has changed"), "{ended}");
    let ended = folder.ef("replay locked --judges-only --locked").exits(5);
    assert!(ended.stderr.contains("the plugin `acme` has changed"), "{ended}");
    assert!(!folder.has("started"), "what has changed is not even started");
    run(&folder, "free", "").exits(0);
    assert!(folder.has("started"), "nothing else keeps it from being started");
    assert_eq!(lock, folder.read("ef-plugins.lock"), "nothing is updated by itself");
    folder.write("plugin.py", PLUGIN);

    let toml = String::from_utf8(folder.read("ef.toml")).expect("text");
    folder.write("ef.toml", toml.replace("plugins.acme", "plugins.renamed"));
    let ended = run(&folder, "renamed", "--locked").exits(5);
    assert!(
        ended.stderr.contains("`renamed` is not in it") && ended.stderr.contains("`acme` is not there any more"),
        "{ended}"
    );
    let ended = folder.ef("resume unlocked --locked");
    assert_ne!(ended.code, Some(0), "{ended}");
}

#[test]
fn the_lock_file_is_one_that_a_person_can_review() {
    let Some(folder) = project("id: acme.same", "") else { return };
    folder.ef("plugins lock").exits(0);
    assert_seen("plugins_lock_file", String::from_utf8(folder.read("ef-plugins.lock")).expect("text"));
}

#[test]
fn a_version_that_only_the_running_plugin_tells_is_drift_too() {
    let Some(folder) = project("id: acme.same", "") else { return };
    folder.ef("plugins lock").exits(0);
    let lock = String::from_utf8(folder.read("ef-plugins.lock")).expect("text");
    folder.write("ef-plugins.lock", lock.replace("version = \"1.0.0\"", "version = \"0.9.0\""));
    let ended = run(&folder, "one", "--locked").exits(5);
    assert!(ended.stderr.contains("the judge `acme.same` was version 0.9.0, and is now 1.0.0"), "{ended}");
}

#[test]
fn what_is_broken_is_not_locked() {
    let Some(folder) = project("id: acme.same", "") else { return };
    folder.write("plugin.py", "print('hello')\n");
    let ended = folder.ef("plugins lock").exits(5);
    assert!(ended.stderr.contains("nothing was locked") && !folder.has("ef-plugins.lock"), "{ended}");
    folder.write("ef-plugins.lock", "version = 2\n");
    let ended = run(&folder, "one", "--locked").exits(5);
    assert!(seen(&folder, &ended).contains("is not one that this ef can read"), "{ended}");
}
