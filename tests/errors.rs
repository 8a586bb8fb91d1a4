//! Every code that a mistake can have is explained in `docs/errors.md`, and the examples there are true.

use std::path::Path;
use std::process::Command;

use crate::common::{Project, Ran};

pub(crate) fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// A fenced block: what stands behind the fence, and the text.
pub(crate) struct Block {
    pub(crate) info: String,
    pub(crate) text: String,
}

pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(Block { info: info.trim().to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that is not closed");
    blocks
}

/// Runs lines of a shell in a project's folder, with the program at hand as `pipe`.
pub(crate) fn shell(project: &Project, script: &str) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_pipe"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(project.path("")).env("PATH", path);
    command.env_remove("PIPE_STORE").env_remove("PIPE_DEVICE").env("NO_COLOR", "1");
    Ran::from(command.output().unwrap())
}

/// Prepares a project with the blocks of one side, and runs it.
fn run(project: &Project, blocks: &[Block], side: &str) -> Ran {
    let of = |kind: &str| blocks.iter().find(|block| block.info == format!("{kind} {side}")).map(|block| &block.text);
    if let Some(script) = of("sh") {
        let ran = shell(project, script);
        assert_eq!(ran.code, 0, "{script}\n{}", ran.stderr);
    }
    project.write("pipe.yaml", of("yaml").unwrap());
    shell(project, of("console").map_or("pipe run", String::as_str))
}

/// Every code of the page with its blocks.
pub(crate) fn sections() -> Vec<(String, Vec<Block>)> {
    let page = page("docs/errors.md");
    let parts = page.split("\n## ").skip(1);
    parts.map(|part| (part.lines().next().unwrap().to_owned(), blocks(part))).collect()
}

#[test]
fn every_example_of_a_mistake_is_one_and_its_mend_is_none() {
    for (code, blocks) in sections().into_iter().filter(|(_, blocks)| !blocks.is_empty()) {
        let project = Project::new();
        let wrong = run(&project, &blocks, "wrong");
        assert!(wrong.code == 1 || wrong.code == 2, "{code} is no mistake\n{}", wrong.stderr);
        assert!(wrong.stderr.contains(&code), "{code} is another mistake\n{}", wrong.stderr);
        assert!(!wrong.stderr.contains("pipe::internal"), "{}", wrong.stderr);
        let right = run(&project, &blocks, "right");
        assert_eq!(right.code, 0, "{code} is not mended\n{}", right.stderr);
    }
}

#[test]
fn every_code_is_explained() {
    let explained: Vec<String> = sections().into_iter().map(|(code, _)| code).collect();
    let mut open = vec![
        Path::new(env!("CARGO_MANIFEST_DIR")).join("engine"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib"),
    ];
    let mut found = std::collections::BTreeSet::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let codes = text.split("\"pipe::").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(
                codes
                    .filter(|code| !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
                    .map(|code| format!("pipe::{code}")),
            );
        }
    }
    assert!(found.len() > 20, "{found:?}");
    let missing: Vec<_> = found.iter().filter(|code| !explained.contains(code)).collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
    let gone: Vec<_> = explained.iter().filter(|code| !found.contains(*code)).collect();
    assert!(gone.is_empty(), "no longer a code: {gone:?}");
}

#[test]
fn a_code_is_explained_on_the_terminal() {
    let project = Project::new();
    let text = project.ok(&["explain", "cycle"]).stdout;
    assert!(text.starts_with("pipe::cycle\n") && text.contains("```yaml right"), "{text}");
    assert_eq!(project.ok(&["explain", "pipe::cycle"]).stdout, text);
    let unknown = project.pipe(&["explain", "pipe::cicle"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("did you mean `pipe::cycle`?"), "{}", unknown.stderr);
}
