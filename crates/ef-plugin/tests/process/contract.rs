//! The contract suite over a plugin in another process.

use ef_model::Environment;
use ef_plugin::contract::{self, ContractOptions, Subject};
use ef_plugin::process::{Declared, DeclaredComponent, ExternalPlugin};
use serde_json::Map;

use super::driver::hostile;

#[tokio::test]
async fn the_contract_can_be_tried_on_external_plugins_before_they_are_started() {
    let plugin = ExternalPlugin::new(hostile(&["max-in-flight", "4"]));
    let component = |id: &str| {
        let id = ef_model::ComponentId::new(id).expect("an id");
        vec![DeclaredComponent { id, version: None, summary: None }]
    };
    let declared = Declared { evaluators: component("toy.echo"), judges: component("toy.obey") };
    let mut factories = plugin.declared(&declared);
    let options =
        ContractOptions { environment: Environment::default(), config: Map::new(), ..ContractOptions::default() };
    for subject in [Subject::Evaluator(factories.evaluators.remove(0)), Subject::Judge(factories.judges.remove(0))] {
        let report = contract::check(&subject, &options).await;
        assert!(report.passed(), "{report}");
        assert_eq!(report.identity.version, "1.0.0", "that of the running plugin");
        assert_eq!(report.checks.len(), 7);
    }
    plugin.shutdown().await;
}
