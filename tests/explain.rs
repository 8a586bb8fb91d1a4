//! `pipe why`, `log`, `diff`, `status`: what the store knows of the past.

use serde_json::Value;

use crate::common::Project;
use crate::common::photos::{photos, project};

fn why(project: &Project, words: &[&str]) -> Value {
    let text = project.ok(&[&["why", "--format", "json"], words].concat()).stdout;
    serde_json::from_str::<Value>(&text).unwrap()
}

#[test]
fn why_names_the_photos_and_the_way_that_a_change_came() {
    let project = project(24);
    project.ok(&["run"]);
    let csv = project.read("label.csv");
    let rows: Vec<&str> = csv.lines().skip(1).collect();
    let (relabelled, removed) = (rows[0].split(',').next().unwrap(), rows[1].split(',').next().unwrap());
    let mut new: Vec<String> = rows.iter().skip(2).map(|row| (*row).to_owned()).collect();
    new.insert(0, format!("{relabelled},{}", if rows[0].ends_with('0') { 1 } else { 0 }));
    let mut added = Vec::new();
    for photo in photos(36).iter().skip(24) {
        added.push(project.object("objects", photo));
        new.push(format!("{},0", added.last().unwrap()));
    }
    project.write("label.csv", format!("objectId,value\n{}\n", new.join("\n")));
    let labels = why(&project, &["labels"]);
    let changed = &labels[0]["inputs"][0]["rows"];
    assert_eq!(changed["added"]["count"], 12);
    assert_eq!(changed["added"]["first"].as_array().unwrap().len(), 10);
    assert_eq!(changed["removed"]["first"][0], removed);
    assert_eq!(changed["relabelled"]["first"][0], relabelled);
    assert_eq!(changed["changed"]["count"], 0);
    let text = project.ok(&["why", "eval"]).stdout;
    assert!(text.contains("eval would run: after `labels`") || text.contains("eval would run: after"), "{text}");
    for line in ["from head", "from features", "from split", "from labels", "12 added: ", " and 2 more", "1 removed: "]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    // One photo.
    let item = &why(&project, &["features", "--item", &added[0]]);
    assert_eq!((&item["cached"], &item["in_last_run"]), (&Value::Bool(false), &Value::Bool(false)));
    let text = project.ok(&["why", "features", "--item", relabelled]).stdout;
    assert!(text.contains("is cached") && text.contains("its bytes are those of the last run"), "{text}");
    let unknown = project.pipe(&["why", "features", "--item", "nobody.jpg"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("has no item `nobody.jpg`"), "{}", unknown.stderr);
    project.ok(&["run"]);
    let item = &why(&project, &["features", "--item", &added[0]]);
    assert_eq!(item["cached"], true);
    assert!(item["pack"].is_string());
    let other = why(&project, &["features", "--item", &added[0], "--set", "size=40"]);
    assert_eq!(other["cached"], false);
    assert_eq!(other["stages"][0][1][0]["field"], "params.size");
}

#[test]
fn why_tells_of_rows_in_another_order_and_of_other_bytes() {
    let project = project(8);
    project.ok(&["run"]);
    let csv = project.read("label.csv");
    let mut rows: Vec<&str> = csv.lines().skip(1).collect();
    rows.reverse();
    project.write("label.csv", format!("objectId,value\n{}\n", rows.join("\n")));
    assert!(project.ok(&["why", "labels"]).stdout.contains("the same rows in another order"));
    project.write("label.csv", csv.clone());
    let name = csv.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    let path = format!("objects/{}/{}/{name}", &name[..2], &name[2..4]);
    project.write(&path, photos(30).pop().unwrap());
    let text = project.ok(&["why", "labels"]).stdout;
    assert!(text.contains(&format!("1 with other bytes: {name}")), "{text}");
    let since = project.ok(&["why", "head", "--set", "epochs=9"]).stdout;
    assert!(since.contains("last computed 20"), "{since}");
}

#[test]
fn runs_are_listed_compared_and_shown() {
    let project = project(24);
    assert_eq!(project.ok(&["log"]).stdout, "no runs yet\n");
    assert!(project.ok(&["status"]).stdout.contains("never run"));
    project.ok(&["run"]);
    project.ok(&["run", "--set", "epochs=5"]);
    project.ok(&["run", "--set", "epochs=5"]);
    let runs: Value = serde_json::from_str(&project.ok(&["log", "--format", "json"]).stdout).unwrap();
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[0]["nodes"], runs[1]["nodes"], "equal results are one blob");
    assert_eq!((&runs[0]["reused"], &runs[1]["reused"]), (&Value::from(6), &Value::from(4)));
    assert_eq!(runs[1]["params"]["epochs"], 5);
    assert!(runs[1]["ran"]["head"]["seconds"].is_number() && runs[2]["metrics"]["eval.accuracy"].is_number());
    let listed = project.ok(&["log"]).stdout;
    assert_eq!(listed.lines().count(), 4);
    assert!(listed.contains("epochs=5") && listed.contains("accuracy 0."), "{listed}");
    let diff = project.ok(&["diff", "last~2", "last"]).stdout;
    assert!(
        diff.contains("epochs") && diff.contains("eval.loss") && diff.contains("nodes that differ: eval, head"),
        "{diff}"
    );
    assert!(project.ok(&["diff"]).stdout.contains("no node's result differs"));
    let id = runs[2]["id"].as_str().unwrap();
    let diff: Value = serde_json::from_str(&project.ok(&["diff", id, "last", "--format", "json"]).stdout).unwrap();
    assert_eq!(diff["params"]["epochs"], serde_json::json!([3, 5]));
    let shown = project.ok(&["show", "last~1"]).stdout;
    assert!(
        shown.contains("param       epochs = 5") && shown.contains("head") && shown.contains("accuracy"),
        "{shown}"
    );
    assert_eq!(project.pipe(&["diff", "nothing"]).code, 2);
    let status = project.ok(&["status"]).stdout;
    assert!(status.contains("everything is cached (6 nodes)") && status.contains("with --set epochs=5"), "{status}");
    let status = project.ok(&["status", "--set", "epochs=9"]).stdout;
    assert!(status.contains("4 cached, 2 would run"), "{status}");
}

#[test]
fn what_is_cleaned_runs_again() {
    let project = project(12);
    let first = project.finished(&[]);
    assert!(project.ok(&["clean", "features"]).stdout.contains("forgot features and 12 items"));
    let again = project.finished(&[]);
    assert_eq!(again["nodes"]["features"]["items_computed"], 12);
    assert_eq!(again["nodes"]["features"]["digest"], first["nodes"]["features"]["digest"]);
    assert_eq!(again["nodes"]["head"]["status"], "reused", "an equal result stops there");
    project.ok(&["clean", "head"]);
    assert_eq!(project.finished(&[])["nodes"]["head"]["status"], "ran");
    assert_eq!(project.pipe(&["clean"]).code, 2);
}
