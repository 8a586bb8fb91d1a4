//! What `from:` and the command line call a node: `name`, `name.output`, `name[axis=value].output`.

/// A node or an output of it, of some combinations of a matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The node's name.
    pub name: String,
    /// What is said of the axes.
    pub choices: Vec<Choose>,
    /// The output, where one is named.
    pub output: Option<String>,
}

/// What a reference says of the axes that a node varies with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choose {
    /// `*`: all values of all axes together.
    All,
    /// `axis=*`: all values of an axis together.
    AllOf(String),
    /// `axis=value`: one value.
    One(String, String),
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        let choice = |choice: &Choose| match choice {
            Choose::All => "*".to_owned(),
            Choose::AllOf(axis) => format!("{axis}=*"),
            Choose::One(axis, value) => format!("{axis}={value}"),
        };
        if !self.choices.is_empty() {
            write!(f, "[{}]", self.choices.iter().map(choice).collect::<Vec<_>>().join(","))?;
        }
        self.output.as_ref().map_or(Ok(()), |output| write!(f, ".{output}"))
    }
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, rest)) = text.split_once('[') else {
            let (name, output) = match text.split_once('.') {
                Some((name, output)) => (name, Some(output.to_owned())),
                None => (text, None),
            };
            return Ok(Self { name: name.to_owned(), choices: Vec::new(), output });
        };
        let (inside, after) = rest.split_once(']').ok_or("a `[` without its `]`")?;
        // The output may stand before or behind: `head.history[*]`, `head[*].history`.
        let (name, output) = match (name.split_once('.'), after.strip_prefix('.')) {
            (None, Some(output)) => (name, Some(output.to_owned())),
            (Some((name, output)), None) if after.is_empty() => (name, Some(output.to_owned())),
            (None, None) if after.is_empty() => (name, None),
            _ => return Err(format!("`{after}` behind the `]`")),
        };
        let choices = inside.split(',').map(str::trim).map(|choice| match choice.split_once('=') {
            Some((axis, "*")) => Ok(Choose::AllOf(axis.trim().to_owned())),
            Some((axis, value)) => Ok(Choose::One(axis.trim().to_owned(), value.trim().to_owned())),
            None if choice == "*" => Ok(Choose::All),
            None => Err(format!("`{choice}` is neither `*` nor `axis=value`")),
        });
        Ok(Self { name: name.to_owned(), choices: choices.collect::<Result<_, _>>()?, output })
    }
}
