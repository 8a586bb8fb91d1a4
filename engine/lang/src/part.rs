//! `uses:`, a whole pipeline as a node of another.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use pipe_spec::{ArtifactType, Shape};
use serde_json::Value;

use crate::elaborate::Elaboration;
use crate::head::{self, Head};
use crate::inputs::Takes;
use crate::matrix::{AxisId, Relation, Varying};
use crate::nodes::{Connected, Entry};
use crate::params::{At, Params, asked_axes};
use crate::pipeline::Off;
use crate::problem::Problem;
use crate::scope::{Entity, Scope};
use crate::source::place;
use crate::tree::{Node, Tree};
use crate::wired::{Target, Wired};
use crate::{SourceId, reader, suggest};

/// Pipelines may be used by one another this deep.
const MAX_DEPTH: usize = 16;

impl Elaboration<'_> {
    /// A sub-pipeline, put in under each combination that its nodes depend on.
    pub(crate) fn part(&mut self, scope: &mut Scope, entry: &Entry, uses: &Tree) -> Option<Entity> {
        let uses = scope.params.fill(&mut self.cx, uses, At::nowhere());
        let (place, source, root) = self.text(&uses)?;
        let name = &entry.key.text;
        if let Some(keep) = entry.part("keep") {
            let message = format!("`keep` is not for the sub-pipeline `{name}`");
            let problem = Problem::new("pipe::unknown_key", message, keep.span, "not used");
            self.cx.problems.push(problem.help("write it on nodes inside the sub-pipeline"));
        }
        if self.open.contains(&place) || self.open.len() >= MAX_DEPTH {
            let message = match self.open.contains(&place) {
                true => format!("`{}` uses itself", self.cx.sources.name(source)),
                false => format!("pipelines use one another more than {MAX_DEPTH} deep"),
            };
            let problem = Problem::new("pipe::cycle", message, uses.span, "used here");
            self.cx.problems.push(problem.help("take this node out of the sub-pipeline"));
            return None;
        }
        if !self.spend(1, entry.key.span) {
            return None;
        }
        let is_off = self.is_off(scope, entry)?;
        let (since, drafts, off) = (self.cx.problems.len(), self.drafts.len(), self.off.len());
        let parts = self.parts.len();
        self.open.push(place);
        let entity = head::read(&mut self.cx, root).and_then(|head| self.put_in(scope, entry, head, &uses));
        self.open.pop();
        if is_off {
            // What is switched off is put in to see what it would give, and taken out again.
            self.drafts.truncate(drafts);
            self.off.truncate(off);
            self.parts.truncate(parts);
            self.cx.problems.truncate(since);
            return Some(self.pass_through(scope, entry, entity));
        }
        let by = format!("used by `{}{name}` at {}", scope.path, self.cx.sources.place(entry.key.span));
        self.cx.problems.used_by(since, &by, entry.key.span.source);
        if let Some(entity) = &entity {
            let led = |(name, wired): &(String, Wired)| {
                let targets = wired.0.rows().iter().flat_map(|(_, targets)| targets);
                let drafts = targets.filter_map(|(_, target)| match target {
                    Target::Draft(draft, port) => Some((*draft, *port)),
                    _ => None,
                });
                (name.clone(), drafts.collect())
            };
            let outputs = entity.outputs.iter().map(led).collect();
            self.parts.push((format!("{}{name}", scope.path), outputs));
        }
        entity
    }

    /// The tree of a sub-pipeline: one of the library, or a file.
    fn text(&mut self, uses: &Tree) -> Option<(String, SourceId, Tree)> {
        if uses.is_mistake() {
            return None;
        }
        let word = self.cx.word(uses, "`uses`")?;
        let is_file = word.ends_with(".yaml") || word.ends_with(".yml");
        let path = self.cx.sources.base(uses.span.source).join(&word);
        let place = if is_file { place(&path) } else { word.clone() };
        if let Some(known) = self.texts.get(&place) {
            return known.clone().map(|(id, tree)| (place, id, tree));
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
        self.texts.insert(place.clone(), tree.clone());
        tree.map(|(id, tree)| (place, id, tree))
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
        let (connected, unsure) = self.connected(scope, entry, &takes);
        let ambient = self.ambient(scope, entry, &connected)?;
        let mut params = Params::new(&head.declarations, ambient.clone());
        self.give(scope, entry, &head, (&connected, unsure), &ambient, &mut params);
        let mut inner = Scope {
            path: format!("{}{name}/", scope.path),
            rank: scope.rank.iter().copied().chain([entry.place]).collect(),
            params,
            ambients: scope.ambients.iter().cloned().chain([ambient]).collect(),
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
                unsure,
            });
            inner.add(key, entity);
        }
        self.nodes(&mut inner, head.nodes);
        let outputs = self.outputs(&inner, &head.outputs);
        if outputs.len() < head.outputs.len() {
            // One of them has a mistake, and it may be the one that is read.
            return None;
        }
        if let Some(tree) = entry.part("export") {
            self.export_part(scope, tree, &what, &outputs);
        }
        Some(Entity { span: entry.key.span, what, outputs, unsure })
    }

    /// What the nodes inside may vary with: the node's own matrix, and what its `with` varies with.
    fn ambient(&mut self, scope: &mut Scope, entry: &Entry, connected: &[Connected]) -> Option<Relation> {
        let mut relation = Relation::constant(());
        if let Some(with) = entry.part("with") {
            let asked = asked_axes(with);
            let varies = scope.params.varies(&mut self.cx, with);
            relation = scope.varying(&varies);
            for Connected { wired, .. } in connected {
                let names = self.axes_at(scope, wired.0.axes());
                let wanted: BTreeSet<AxisId> =
                    names.into_iter().filter(|(name, _)| asked.contains_key(name)).map(|(_, id)| id).collect();
                relation = self.joined(&relation, &wired.0.project(&wanted), entry.key.span)?;
            }
        }
        if let Some(tree) = entry.part("matrix") {
            let own = self.matrix(scope, tree)?;
            relation = self.joined(&relation, &own, entry.key.span)?;
        }
        Some(scope.restricted(relation))
    }

    /// Gives a sub-pipeline its params, each varying with no more than what it mentions.
    fn give(
        &mut self,
        scope: &mut Scope,
        entry: &Entry,
        head: &Head,
        (connected, unsure): (&[Connected], bool),
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
                axes.iter().filter(|(name, _)| asked.contains_key(*name)).map(|(_, &id)| id).collect();
            wanted.extend(scope.params.varies(&mut self.cx, tree));
            let relation = ambient.project(&wanted);
            let mut rows = Vec::new();
            for (combo, ()) in relation.rows() {
                let value = scope.params.fill(&mut self.cx, tree, At { combo, axes: Some(&axes), unsure });
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
                self.cx.problems.push(problem.help(match declaration.help.as_str() {
                    "" => format!("add `{param}: ...` to its `with:`"),
                    help => format!("add `{param}: ...` to its `with:`: {help}"),
                }));
            }
        }
    }

    /// Whether a sub-pipeline is switched off; `None` where that cannot be told.
    fn is_off(&mut self, scope: &mut Scope, entry: &Entry) -> Option<bool> {
        let Some(tree) = entry.part("when") else { return Some(false) };
        if let Some(asking) = asked_axes(tree).values().next() {
            let message = format!("`when` of the sub-pipeline `{}` cannot vary with a matrix", entry.key.text);
            let problem = Problem::new("pipe::unknown_param", message, asking.span, "varies");
            self.cx.problems.push(problem.help("write `when` on nodes inside it"));
            return None;
        }
        let tree = scope.params.fill(&mut self.cx, tree, At::nowhere());
        let when = self.decoder().decode(&tree, &Shape::Bool, "when")?;
        Some(when == Value::Bool(false))
    }

    /// What a sub-pipeline that is switched off gives: for each output its only input of the same type, or
    /// nothing. `entity` is what it would be; `None` where it has mistakes, which do not matter now.
    fn pass_through(&mut self, scope: &Scope, entry: &Entry, entity: Option<Entity>) -> Entity {
        let name = format!("{}{}", scope.path, entry.key.text);
        let mut given: Vec<Wired> = Vec::new();
        if let Some(from) = &entry.from {
            let trees: Vec<Tree> = match &from.node {
                Node::Map(entries) => entries.iter().map(|(_, tree)| tree.clone()).collect(),
                _ => vec![from.clone()],
            };
            given.extend(trees.iter().filter_map(|tree| self.resolve(scope, tree, &entry.key.text)));
        }
        let off = || Wired(Varying::constant(vec![(String::new(), Target::Off(name.clone()))]));
        let unknown = || Entity {
            span: entry.key.span,
            what: String::new(),
            outputs: vec![(String::new(), off())],
            unsure: false,
        };
        let mut entity = entity.unwrap_or_else(unknown);
        let mut passes = false;
        for (_, wired) in &mut entity.outputs {
            let mut fitting =
                given.iter().filter(|input| input.artifact().is_some() && input.artifact() == wired.artifact());
            match (fitting.next(), fitting.next()) {
                (Some(input), None) => {
                    passes = true;
                    *wired = input.clone();
                }
                _ => *wired = off(),
            }
        }
        self.off.push(Off { name: name.clone(), passes });
        entity
    }
}

/// The text that a head was read from.
fn head_source(head: &Head, uses: &Tree) -> SourceId {
    head.nodes.first().map_or(uses.span.source, |(key, _)| key.span.source)
}
