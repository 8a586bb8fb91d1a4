//! Metrics against scikit-learn.

use crate::common::{floats, json_fixture};
use pipe_stdlib::eval::metrics::Metrics;
use serde_json::Value;

fn near(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-6, "{what}: {found}, scikit-learn has {expected}");
}

fn labels(case: &Value) -> Vec<usize> {
    serde_json::from_value(case["labels"].clone()).unwrap()
}

fn common_part(found: &Metrics, expected: &Value, name: &str) {
    near(found.accuracy, &expected["accuracy"], &format!("{name} accuracy"));
    near(found.loss, &expected["log_loss"], &format!("{name} loss"));
    let confusion: Vec<Vec<usize>> = serde_json::from_value(expected["confusion"].clone()).unwrap();
    assert_eq!(found.confusion, confusion, "{name}");
}

#[test]
fn two_classes_as_in_scikit_learn() {
    for (name, case) in json_fixture("metrics.json")["binary"].as_object().unwrap() {
        let probabilities: Vec<f64> =
            floats(&case["scores"]).into_iter().flat_map(|score| [1.0 - score, score]).collect();
        let found = Metrics::new(&labels(case), &probabilities, 2);
        let expected = &case["expected"];
        common_part(&found, expected, name);
        near(found.precision, &expected["precision"], &format!("{name} precision"));
        near(found.recall, &expected["recall"], &format!("{name} recall"));
        near(found.f1, &expected["f1"], &format!("{name} f1"));
        match found.roc_auc {
            Some(auc) => near(auc, &expected["roc_auc"], &format!("{name} roc_auc")),
            None => assert!(expected["roc_auc"].is_null(), "{name}"),
        }
    }
}

#[test]
fn more_classes_as_in_scikit_learn() {
    for (name, case) in json_fixture("metrics.json")["multi"].as_object().unwrap() {
        let classes = case["scores"][0].as_array().unwrap().len();
        let found = Metrics::new(&labels(case), &floats(&case["scores"]), classes);
        let expected = &case["expected"];
        common_part(&found, expected, name);
        near(found.precision, &expected["precision_macro"], &format!("{name} precision"));
        near(found.recall, &expected["recall_macro"], &format!("{name} recall"));
        near(found.f1, &expected["f1_macro"], &format!("{name} f1"));
        near(found.roc_auc.unwrap(), &expected["roc_auc_ovr_macro"], &format!("{name} roc_auc"));
        for (class, metrics) in found.classes.iter().enumerate() {
            near(metrics.precision, &expected["precision_per_class"][class], &format!("{name} precision of {class}"));
            near(metrics.recall, &expected["recall_per_class"][class], &format!("{name} recall of {class}"));
            near(metrics.f1, &expected["f1_per_class"][class], &format!("{name} f1 of {class}"));
        }
    }
}
