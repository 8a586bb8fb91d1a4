//! Head training against PyTorch.

use crate::common::hashed::uniform;
use crate::common::{floats, json_fixture};
use pipe_nn::{Adam, ComputeDevice, Epoch, Head, HeadTraining, Rows, train_head};
use serde_json::Value;

const FEATURES: usize = 16;

fn features(name: &str, rows: usize) -> Vec<f32> {
    uniform(name, rows * FEATURES).into_iter().map(|u| (2.0 * u - 1.0) as f32).collect()
}

fn labels(value: &Value) -> Vec<usize> {
    serde_json::from_value(value.clone()).unwrap()
}

fn narrow(value: &Value) -> Vec<f32> {
    floats(value).into_iter().map(|x| x as f32).collect()
}

pub(crate) fn check(case: &str, device: ComputeDevice) {
    let fixture = json_fixture("head_training.json");
    let expected = &fixture[case];
    let (train_labels, validation_labels) = (labels(&expected["labels"]), labels(&expected["validation_labels"]));
    let train = features("head/x", train_labels.len());
    let validation = features("head/xv", validation_labels.len());
    let classes = expected["classes"].as_u64().unwrap() as usize;
    let mut initial = Head::zeros(classes, FEATURES);
    initial.weight = narrow(&expected["initial_weight"]);
    let training = HeadTraining {
        batch_size: fixture["batch_size"].as_u64().unwrap() as usize,
        adam: Adam { lr: fixture["learning_rate"].as_f64().unwrap(), betas: (0.9, 0.999), eps: 1e-8 },
        train: Rows { features: &train, labels: &train_labels },
        validation: Rows { features: &validation, labels: &validation_labels },
    };
    let mut orders = fixture["order"].as_array().unwrap().iter().map(labels);
    let mut epochs: Vec<Epoch> = Vec::new();
    let head = train_head(device, initial, &training, &mut orders, &mut |epoch| {
        epochs.push(epoch);
        true
    });
    let head = head.unwrap();
    let near = |found: f64, wanted: &Value, what: &str| {
        let wanted = wanted.as_f64().unwrap();
        assert!((found - wanted).abs() <= 1e-4, "{case} {what}: {found}, PyTorch has {wanted}");
    };
    assert_eq!(epochs.len(), 12);
    for (epoch, wanted) in epochs.iter().zip(expected["epochs"].as_array().unwrap()) {
        near(epoch.train_loss, &wanted["train_loss"], "train loss");
        near(epoch.train_accuracy, &wanted["train_accuracy"], "train accuracy");
        near(epoch.validation_loss.unwrap(), &wanted["validation_loss"], "validation loss");
        near(epoch.validation_accuracy.unwrap(), &wanted["validation_accuracy"], "validation accuracy");
    }
    for (found, wanted) in head.weight.iter().zip(narrow(&expected["final_weight"])) {
        assert!((found - wanted).abs() <= 1e-4, "{case} weight: {found}, PyTorch has {wanted}");
    }
    for (found, wanted) in head.bias.iter().zip(narrow(&expected["final_bias"])) {
        assert!((found - wanted).abs() <= 1e-4, "{case} bias: {found}, PyTorch has {wanted}");
    }
}

#[test]
fn two_classes_train_as_in_pytorch() {
    check("binary", ComputeDevice::Cpu);
}

#[test]
fn four_classes_train_as_in_pytorch() {
    check("multi", ComputeDevice::Cpu);
}
