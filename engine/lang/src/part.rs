//! `uses:`, a whole pipeline as a node of another.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use pipe_spec::{ArtifactType, Port, Shape};
use serde_json::Value;

use crate::elaborate::{Elaboration, Entity, Head, Scope};
use crate::inputs::{Takes, Target, Wired};
use crate::matrix::{AxisId, Relation, Varying};
use crate::nodes::{Connected, Entry};
use crate::params::{At, Params};
use crate::pipeline::Off;
use crate::problem::Problem;
use crate::tree::{Node, Tree};
use crate::{SourceId, reader, suggest};

/// Pipelines may be used by one another this deep.
const MAX_DEPTH: usize = 16;

impl Elaboration<'_> {
    /// A sub-pipeline, put in under each combination that its nodes depend on.
    pub(crate) fn part(&mut self, scope: &mut Scope, entry: &Entry, uses: &Tree) -> Option<Entity> {
        let uses = scope.params.fill(&mut self.cx, uses, At::nowhere());
        let (source, root) = self.text(&uses)?;
        let name = &entry.key.text;
        if let Some(keep) = entry.part("keep") {
            let message = format!("`keep` is not for the sub-pipeline `{name}`");
            let problem = Problem::new("pipe::unknown_key", message, keep.span, "not used");
            self.cx.problems.push(problem.help("write it on nodes inside the sub-pipeline"));
        }
        if self.open.contains(&source) || self.open.len() >= MAX_DEPTH {
            let message = match self.open.contains(&source) {
                true => format!("`{}` uses itself", self.cx.sources.name(source)),
                false => format!("pipelines use one another more than {MAX_DEPTH} deep"),
            };
            let problem = Problem::new("pipe::cycle", message, uses.span, "used here");
            self.cx.problems.push(problem.help("take this node out of the sub-pipeline"));
            return None;
        }
        let since = self.cx.problems.len();
        self.open.push(source);
        let drafts = self.drafts.len();
        let entity = self.head(root).and_then(|head| self.put_in(scope, entry, head, &uses));
        self.open.pop();
        let by = format!("used by `{}{name}` at {}", scope.path, self.cx.sources.place(entry.key.span));
        self.cx.problems.used_by(since, &by, entry.key.span.source);
        let mut entity = entity?;
        if self.is_off(scope, entry) {
            self.drafts.truncate(drafts);
            self.pass_through(scope, entry, &mut entity);
        }
        Some(entity)
    }

    /// The tree of a sub-pipeline: one of the library, or a file.
    fn text(&mut self, uses: &Tree) -> Option<(SourceId, Tree)> {
        if uses.is_mistake() {
            return None;
        }
        let word = self.cx.word(uses, "`uses`")?;
        let is_file = word.ends_with(".yaml") || word.ends_with(".yml");
        let path = self.cx.sources.base(uses.span.source).join(&word);
        let place = if is_file { path.display().to_string() } else { word.clone() };
        if let Some(known) = self.texts.get(&place) {
            return known.clone();
        }
        let id = match self.language.library.get(word.as_str()) {
            Some(text) => Ok(self.cx.sources.add(format!("{word}.yaml"), *text, Path::new(""))),
            None if is_file => self.cx.sources.open(self.shown(uses, &word), &path).map_err(Some),
            None => Err(None),
        };
        let id = match id {
            Ok(id) => id,
            Err(Some(error)) => {
                let message = format!("there is no pipeline `{word}`: {error}");
                let problem = Problem::new("pipe::file_not_found", message, uses.span, "not found");
                let help = format!("looked for {}; a relative path starts where it is written", path.display());
                self.cx.problems.push(problem.help(help));
                return None;
            }
            Err(None) => {
                let message = format!("there is no pipeline `{word}`");
                let problem = Problem::new("pipe::unknown_kind", message, uses.span, "not known");
                let known =
                    suggest::help(&word, "pipelines that come with the program", self.language.library.keys().copied());
                self.cx
                    .problems
                    .push(problem.help(format!("{known}\na file's name ends in .yaml: `./parts/prep.yaml`")));
                return None;
            }
        };
        let tree = reader::read(self.cx.sources, id, &mut self.cx.problems).map(|tree| (id, tree));
        self.texts.insert(place, tree.clone());
        tree
    }

    /// What messages call a file that another one names: beside what messages call that one.
    fn shown(&self, uses: &Tree, word: &str) -> String {
        let beside = Path::new(self.cx.sources.name(uses.span.source)).parent().unwrap_or(Path::new(""));
        beside.join(word.strip_prefix("./").unwrap_or(word)).display().to_string()
    }

    fn put_in(&mut self, scope: &mut Scope, entry: &Entry, head: Head, uses: &Tree) -> Option<Entity> {
        let name = &entry.key.text;
        let ports: Vec<(&str, ArtifactType, bool)> =
            head.inputs.iter().map(|(key, artifact)| (key.text.as_str(), *artifact, false)).collect();
        let what = self.cx.sources.name(head_source(&head, uses)).to_owned();
        let takes = Takes { ports: &ports, more: false, what: &what };
        let connected = self.connected(scope, entry, &takes);
        let ambient = self.ambient(scope, entry, &connected)?;
        let mut params = Params::new(&head.declarations);
        self.give(scope, entry, &head, &connected, &ambient, &mut params);
        let mut inner = Scope {
            path: format!("{}{name}/", scope.path),
            rank: scope.rank.iter().copied().chain([entry.place]).collect(),
            params,
            ambient: ambient.clone(),
            entities: HashMap::new(),
            names: Vec::new(),
        };
        inner.params.resolve_all(&mut self.cx);
        for (key, _) in &head.inputs {
            let input = connected.iter().find(|connected| connected.wire.input == key.text);
            let entity = input.map(|Connected { wired, .. }| Entity {
                span: key.span,
                what: "an input".to_owned(),
                outputs: vec![(key.text.clone(), wired.clone())],
            });
            inner.add(key, entity);
        }
        self.nodes(&mut inner, head.nodes);
        let outputs = self.outputs(&inner, &head.outputs);
        if let Some(tree) = entry.part("export") {
            self.export(scope, tree, &what, &outputs);
        }
        Some(Entity { span: entry.key.span, what, outputs })
    }

    /// What the nodes inside may vary with: the node's own matrix, and what its `with` varies with.
    fn ambient(&mut self, scope: &mut Scope, entry: &Entry, connected: &[Connected]) -> Option<Relation> {
        let mut relation = Relation::constant(());
        if let Some(with) = entry.part("with") {
            let asked = asked_axes(with);
            for Connected { wired, .. } in connected {
                let names = self.axes_at(scope, wired.0.axes());
                let wanted: BTreeSet<AxisId> =
                    names.into_iter().filter(|(name, _)| asked.contains(name)).map(|(_, id)| id).collect();
                relation = self.joined(&relation, &wired.0.project(&wanted), entry.key.span)?;
            }
            let varies = scope.params.varies(&mut self.cx, with).unwrap_or_else(|| Relation::constant(()));
            relation = self.joined(&relation, &varies, entry.key.span)?;
        }
        if let Some(tree) = entry.part("matrix") {
            let own = self.matrix(scope, tree)?;
            relation = self.joined(&relation, &own, entry.key.span)?;
        }
        Some(relation.within(&scope.ambient))
    }

    /// Gives a sub-pipeline its params, each varying with no more than what it mentions.
    fn give(
        &mut self,
        scope: &mut Scope,
        entry: &Entry,
        head: &Head,
        connected: &[Connected],
        ambient: &Relation,
        params: &mut Params,
    ) {
        let with = entry.part("with").cloned();
        let given = with.map(|tree| self.cx.entries(tree, "`with`").unwrap_or_default()).unwrap_or_default();
        let mut known = ambient.axes().clone();
        connected.iter().for_each(|connected| known.extend(connected.wired.0.axes()));
        let axes = self.axes_at(scope, &known);
        for (key, tree) in &given {
            let asked = asked_axes(tree);
            let mut wanted: BTreeSet<AxisId> =
                axes.iter().filter(|(name, _)| asked.contains(*name)).map(|(_, &id)| id).collect();
            if let Some(varies) = scope.params.varies(&mut self.cx, tree) {
                wanted.extend(varies.axes());
            }
            let relation = ambient.project(&wanted);
            let mut rows = Vec::new();
            for (combo, ()) in relation.rows() {
                let value = scope.params.fill(&mut self.cx, tree, At { combo, axes: Some(&axes) });
                rows.push((combo.clone(), value));
            }
            if !params.give(&key.text, Varying::new(relation.axes().clone(), rows)) {
                let help = suggest::help(&key.text, "params", params.names());
                let message = format!("the sub-pipeline has no param `{}`", key.text);
                self.cx.problems.push(Problem::new("pipe::unknown_param", message, key.span, "not known").help(help));
            }
        }
        for declaration in &head.declarations {
            let param = &declaration.key.text;
            if params.lacks(param) && given.iter().all(|(key, _)| key.text != *param) {
                let message = format!("the node `{}` does not give the param `{param}`", entry.key.text);
                let problem = Problem::new("pipe::missing_param", message, entry.key.span, "needed here");
                self.cx.problems.push(problem.help(format!("add `{param}: ...` to its `with:`; {}", declaration.help)));
            }
        }
    }

    /// Leaves outputs of a sub-pipeline as files: the nodes that give them do.
    fn export(&mut self, scope: &mut Scope, tree: &Tree, what: &str, outputs: &[(String, Wired)]) {
        let mut combos: Vec<_> = outputs.iter().flat_map(|(_, wired)| wired.0.rows()).map(|(combo, _)| combo).collect();
        combos.dedup();
        for combo in combos {
            let targets: Vec<(&str, usize, Port)> = outputs
                .iter()
                .filter_map(|(name, wired)| match wired.0.at(combo)?.first()? {
                    (_, Target::Draft(draft, port)) => Some((name.as_str(), *draft, *port)),
                    _ => None,
                })
                .collect();
            let axes = outputs.iter().flat_map(|(_, wired)| wired.0.axes()).copied().collect();
            let axes = self.axes_at(scope, &axes);
            let tree = scope.params.fill(&mut self.cx, tree, At { combo, axes: Some(&axes) });
            // Told apart by their places: outputs of two nodes may be called the same.
            let ports: Vec<(&str, Port)> = targets.iter().map(|(name, _, port)| (*name, *port)).collect();
            for (name, draft, port) in &targets {
                let only = only_export(&tree, name, targets.first().is_some_and(|(first, ..)| first == name));
                let Some(only) = only else { continue };
                let exports = self.exports(&only, what, &[(name, *port)]);
                let node = &mut self.drafts[*draft].node;
                let new =
                    exports.into_iter().filter(|export| node.exports.iter().all(|other| other.path != export.path));
                let new: Vec<_> = new.collect();
                node.exports.extend(new);
            }
            if let Node::Map(entries) = &tree.node {
                for (key, _) in entries.iter().filter(|(key, _)| ports.iter().all(|(name, _)| *name != key.text)) {
                    let help = suggest::help(&key.text, "outputs", ports.iter().map(|(name, _)| *name));
                    let message = format!("`{what}` has no output `{}`", key.text);
                    self.cx.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
                }
            }
        }
    }

    fn is_off(&mut self, scope: &mut Scope, entry: &Entry) -> bool {
        let Some(tree) = entry.part("when") else { return false };
        let tree = scope.params.fill(&mut self.cx, tree, At::nowhere());
        self.decoder().decode(&tree, &Shape::Bool, "when") == Some(Value::Bool(false))
    }

    /// What a sub-pipeline that is switched off gives: its only input of the same type, or nothing.
    fn pass_through(&mut self, scope: &Scope, entry: &Entry, entity: &mut Entity) {
        let name = format!("{}{}", scope.path, entry.key.text);
        let mut given: Vec<Wired> = Vec::new();
        if let Some(from) = &entry.from {
            let trees: Vec<Tree> = match &from.node {
                Node::Map(entries) => entries.iter().map(|(_, tree)| tree.clone()).collect(),
                _ => vec![from.clone()],
            };
            given.extend(trees.iter().filter_map(|tree| self.resolve(scope, tree, &entry.key.text)));
        }
        let mut passes = false;
        for (_, wired) in &mut entity.outputs {
            let mut fitting = given.iter().filter(|input| input.artifact() == wired.artifact());
            match (fitting.next(), fitting.next()) {
                (Some(input), None) => {
                    passes = true;
                    *wired = input.clone();
                }
                _ => *wired = Wired(Varying::constant(vec![(String::new(), Target::Off(name.clone()))])),
            }
        }
        self.off.push(Off { name, passes });
    }
}

/// The text that a head was read from.
fn head_source(head: &Head, uses: &Tree) -> SourceId {
    head.nodes.first().map_or(uses.span.source, |(key, _)| key.span.source)
}

/// The part of an `export:` that is about one output.
fn only_export(tree: &Tree, output: &str, main: bool) -> Option<Tree> {
    match &tree.node {
        Node::Map(entries) => entries.iter().find(|(key, _)| key.text == output).map(|(_, path)| path.clone()),
        _ => main.then(|| tree.clone()),
    }
}

/// The axes that a tree asks for with `${matrix.axis}`.
fn asked_axes(tree: &Tree) -> BTreeSet<String> {
    fn walk(tree: &Tree, found: &mut BTreeSet<String>) {
        match &tree.node {
            Node::List(items) => items.iter().for_each(|item| walk(item, found)),
            Node::Map(entries) => entries.iter().for_each(|(_, value)| walk(value, found)),
            Node::Scalar(scalar) => {
                for rest in scalar.text.split("${matrix.").skip(1) {
                    let name = rest.split(['}', '.']).next().unwrap_or_default();
                    found.insert(name.trim().to_owned());
                }
            }
            Node::Mistake => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(tree, &mut found);
    found
}
