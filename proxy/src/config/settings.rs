//! Reads settings out of TOML, one at a time, and remembers every mistake with its place.
//!
//! Knows TOML and nothing of what the settings mean. What nobody asked for is a mistake too, with
//! the setting that was probably meant.

use std::collections::BTreeMap;
use std::ops::Range;

use policies::Diagnosis;
use policies::diagnose::nearest;
use policies::words::config::{self as words, ENVIRONMENT, Wanted};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What every variable that overrides a setting begins with: `TIDEGATE__SSH__LISTEN`.
const PREFIX: &str = "TIDEGATE__";

/// One configuration file, half read.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    document: &'a str,
    text: &'a str,
    sections: DeTable<'a>,
    overrides: BTreeMap<(String, String), String>,
    asked: BTreeMap<&'static str, Vec<&'static str>>,
    mistakes: Vec<Diagnosis>,
}

/// Where a value stands, to say what is wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    what: String,
    span: Option<Range<usize>>,
}

impl<'a> Settings<'a> {
    /// Takes the text of the file called `document`, and the environment.
    pub(super) fn new(
        document: &'a str,
        text: &'a str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let (table, refused) = DeTable::parse_recoverable(text);
        let mistakes = refused
            .iter()
            .map(|error| {
                let span = error.span().unwrap_or(0..0);
                Diagnosis::error(document, text, &span, error.message().trim().to_lowercase())
            })
            .collect();
        let overrides = environment
            .into_iter()
            .filter_map(|(name, value)| {
                let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
                Some(((section.to_lowercase(), key.to_lowercase()), value))
            })
            .collect();
        Self {
            document,
            text,
            sections: table.into_inner(),
            overrides,
            asked: BTreeMap::new(),
            mistakes,
        }
    }

    /// A text, if the setting is there.
    pub(super) fn text(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<(String, Place)> {
        let (value, place) = self.take(section, key)?;
        if let DeValue::String(text) = value {
            return Some((text.into_owned(), place));
        }
        let what = words::of_another_type(Wanted::Text, value.type_str());
        self.refuse(&place, what)
    }

    /// A list of texts, if the setting is there. One text alone counts as a list of one.
    pub(super) fn texts(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<Vec<(String, Place)>> {
        let (value, place) = self.take(section, key)?;
        if let DeValue::String(text) = value {
            return Some(vec![(text.into_owned(), place)]);
        }
        let DeValue::Array(items) = value else {
            let what = words::of_another_type(Wanted::Texts, value.type_str());
            return self.refuse(&place, what);
        };
        let mut texts = Vec::new();
        for item in items {
            let place = Place {
                what: place.what.clone(),
                span: place.span.as_ref().map(|_| item.span()),
            };
            let item = item.into_inner();
            if let DeValue::String(text) = item {
                texts.push((text.into_owned(), place));
            } else {
                let what = words::of_another_type(Wanted::Text, item.type_str());
                self.mistake(&place, what);
            }
        }
        Some(texts)
    }

    /// What `read` makes of a text, if the setting is there; a mistake where it can make nothing.
    pub(super) fn parsed<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, place) = self.text(section, key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(what) => self.refuse(&place, what),
        }
    }

    /// Where a setting stands, if it is there.
    pub(super) fn place(&mut self, section: &'static str, key: &'static str) -> Option<Place> {
        self.take(section, key).map(|(_value, place)| place)
    }

    /// What is wrong at a place.
    pub(super) fn diagnosis(&self, place: &Place, what: impl std::fmt::Display) -> Diagnosis {
        let what = words::of_setting(&place.what, &what.to_string());
        match &place.span {
            Some(span) => Diagnosis::error(self.document, self.text, span, what),
            None => Diagnosis::whole(ENVIRONMENT, what),
        }
    }

    /// Notes what is wrong at a place.
    pub(super) fn mistake(&mut self, place: &Place, what: impl std::fmt::Display) {
        let diagnosis = self.diagnosis(place, what);
        self.mistakes.push(diagnosis);
    }

    /// Notes something that is wrong with the file as a whole.
    pub(super) fn missing(&mut self, what: impl Into<String>) {
        self.mistakes.push(Diagnosis::whole(self.document, what));
    }

    /// Every mistake, with those for sections and keys that nobody asked for.
    pub(super) fn finish(mut self) -> Vec<Diagnosis> {
        for (section, value) in &self.sections {
            let known = self.asked.get(section.get_ref().as_ref());
            match (known, value.get_ref()) {
                (None, _) => {
                    let sections = self.asked.keys().copied();
                    self.mistakes
                        .push(self.unknown(section, section.get_ref(), sections));
                }
                (Some(keys), DeValue::Table(table)) => {
                    for key in table.keys() {
                        if !keys.contains(&key.get_ref().as_ref()) {
                            let name = format!("{}.{}", section.get_ref(), key.get_ref());
                            self.mistakes
                                .push(self.unknown(key, &name, keys.iter().copied()));
                        }
                    }
                }
                (Some(_), _) => {
                    let what = words::is_section(section.get_ref());
                    self.mistakes.push(Diagnosis::error(
                        self.document,
                        self.text,
                        &section.span(),
                        what,
                    ));
                }
            }
        }
        let variables = self.overrides.keys();
        let unknown: Vec<Diagnosis> = variables
            .filter_map(|(section, key)| self.unknown_variable(section, key))
            .collect();
        self.mistakes.extend(unknown);
        self.mistakes.sort_by_key(|mistake| {
            mistake
                .place
                .as_ref()
                .map(|place| (place.line, place.column))
        });
        self.mistakes
    }

    fn unknown<'k>(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Diagnosis {
        let what = words::no_setting(name);
        let diagnosis = Diagnosis::error(self.document, self.text, &key.span(), what);
        match nearest(key.get_ref(), known) {
            Some(meant) => diagnosis.advise(words::did_you_mean(meant)),
            None => diagnosis,
        }
    }

    /// The mistake where a variable names no setting, with the one that names what was probably meant.
    fn unknown_variable(&self, section: &str, key: &str) -> Option<Diagnosis> {
        let meant = nearest(section, self.asked.keys().copied());
        let keys = meant.and_then(|meant| self.asked.get_key_value(meant));
        let meant =
            keys.and_then(|(section, keys)| Some((section, nearest(key, keys.iter().copied())?)));
        if meant.is_some_and(|(&in_section, meant)| (in_section, meant) == (section, key)) {
            return None;
        }
        let what = words::names_no_setting(&variable(section, key));
        let mistake = Diagnosis::whole(ENVIRONMENT, what);
        Some(match meant {
            Some((section, key)) => mistake.advise(words::did_you_mean(&variable(section, key))),
            None => mistake,
        })
    }

    fn take(&mut self, section: &'static str, key: &'static str) -> Option<(DeValue<'a>, Place)> {
        self.asked.entry(section).or_default().push(key);
        let what = format!("{section}.{key}");
        if let Some(value) = self.overrides.get(&(section.to_owned(), key.to_owned())) {
            return Some((
                DeValue::String(value.clone().into()),
                Place { what, span: None },
            ));
        }
        let DeValue::Table(table) = self.sections.get(section)?.get_ref() else {
            return None;
        };
        let value = table.get(key)?;
        Some((
            value.get_ref().clone(),
            Place {
                what,
                span: Some(value.span()),
            },
        ))
    }

    fn refuse<T>(&mut self, place: &Place, what: String) -> Option<T> {
        self.mistake(place, what);
        None
    }
}

/// The variable that overrides a setting.
fn variable(section: &str, key: &str) -> String {
    format!("{PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase())
}
