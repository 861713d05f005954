//! Which columns become which fields of an item.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ef_model::{EvalItem, ItemField, ItemId, Payload, check_strict};

use crate::columns::{Columns, Found};
use crate::row::shown;

/// Turns a row's columns into an item.
pub(crate) struct Mapping {
    fields: BTreeMap<ItemField, String>,
    /// Whether cells can hold objects only as text, as in CSV.
    text_cells: bool,
}

/// Columns that do not fit the mapping: an error for the dataset as a whole.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) what: String,
    pub(crate) hint: String,
}

/// The values of an item's fields as they were found.
struct Fields<'r> {
    found: [Found<'r>; 4],
}

impl<'r> Fields<'r> {
    const fn get(&self, field: ItemField) -> Found<'r> {
        self.found[field as usize]
    }

    /// Whether a column was taken whole.
    fn took(&self, index: usize) -> bool {
        self.found.iter().any(|found| matches!(found, Found::Value { column: Some(column), .. } if *column == index))
    }
}

impl Mapping {
    pub(crate) const fn new(fields: BTreeMap<ItemField, String>, text_cells: bool) -> Self {
        Self { fields, text_cells }
    }

    /// Checks column names that are known before the first row.
    pub(crate) fn check_names(&self, names: &[&str]) -> Result<(), Misfit> {
        for (field, path) in &self.fields {
            let mut beginnings = path.match_indices('.').map(|(dot, _)| &path[..dot]);
            if !names.contains(&path.as_str()) && !beginnings.any(|beginning| names.contains(&beginning)) {
                return Err(not_there(*field, path, names));
            }
        }
        let is_field = |name: &str| ItemField::ALL.iter().any(|field| field.as_str() == name);
        if self.fields.is_empty()
            && let Some(unknown) = names.iter().find(|name| !is_field(name))
        {
            return Err(Misfit {
                what: format!("the column {} is not a field of an item; {}", shown(unknown), listed(names)),
                hint: "say which columns are the item's fields (--map input=<column>, or dataset.fields in the spec); \
                       those that are not mapped go to its metadata"
                    .to_owned(),
            });
        }
        if !self.fields.contains_key(&ItemField::Input) && !names.contains(&ItemField::Input.as_str()) {
            return Err(Misfit {
                what: format!("there is no column \"input\", and none is mapped to it; {}", listed(names)),
                hint: "say which column the evaluator is given: --map input=<column>, or dataset.fields in the spec"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Checks the first row, which stands for all of them.
    pub(crate) fn check_first(&self, columns: &Columns<'_>) -> Result<(), Misfit> {
        let names: Vec<&str> = columns.names().collect();
        self.check_names(&names)?;
        match self.fields.iter().find(|(_, path)| columns.find(path) == Found::Missing) {
            Some((field, path)) => Err(not_there(*field, path, &names)),
            None => Ok(()),
        }
    }

    /// Makes an item of a row, or says what is wrong with the row.
    pub(crate) fn item(
        &self,
        columns: &Columns<'_>,
        row: u64,
        default_id: impl FnOnce() -> ItemId,
    ) -> Result<EvalItem, String> {
        let fields = self.fields_of(columns);
        if self.fields.is_empty()
            && let Some((_, (unknown, _))) = columns.iter().enumerate().find(|(index, _)| !fields.took(*index))
        {
            return Err(format!("the column {} is not a field of an item", shown(unknown)));
        }
        let input = match fields.get(ItemField::Input) {
            Found::Value { text, .. } => Payload::from_checked(text),
            Found::Null | Found::Missing => {
                let path = self.fields.get(&ItemField::Input).map_or(ItemField::Input.as_str(), String::as_str);
                return Err(format!("it has no {} to take the item's input from", shown(path)));
            }
        };
        Ok(EvalItem {
            item_id: present(fields.get(ItemField::ItemId)).map_or_else(|| Ok(default_id()), item_id)?,
            row,
            input,
            reference_output: present(fields.get(ItemField::ReferenceOutput)).map(Payload::from_checked),
            metadata: self.metadata(columns, &fields)?,
        })
    }

    /// Finds the fields: where they are mapped to, or else in the column of their own name if that is not spoken for.
    fn fields_of<'r>(&self, columns: &Columns<'r>) -> Fields<'r> {
        let mut fields = Fields { found: [Found::Missing; 4] };
        for (field, path) in &self.fields {
            fields.found[*field as usize] = columns.find(path);
        }
        for field in ItemField::ALL {
            if !self.fields.contains_key(&field)
                && let Some(index) = columns.position(field.as_str())
                && !fields.took(index)
            {
                fields.found[field as usize] = Found::Value { text: columns.value(index), column: Some(index) };
            }
        }
        fields
    }

    /// The object that the row has for metadata, followed by the columns that are not mapped.
    fn metadata(&self, columns: &Columns<'_>, fields: &Fields<'_>) -> Result<Option<Payload>, String> {
        let own = match present(fields.get(ItemField::Metadata)) {
            Some(value) => self.own_metadata(value)?,
            None => None,
        };
        let mut rest = columns.iter().enumerate().filter(|(index, _)| !fields.took(*index)).peekable();
        if rest.peek().is_none() {
            return Ok(own.map(Payload::from_checked));
        }
        let own = own.as_deref().unwrap_or("{}");
        let own_columns = Columns::of(own).ok_or("its metadata is not a JSON object")?;
        // An object's text without its brackets: `own` begins and ends with them.
        let mut text = format!("{{{}", own[1..own.len() - 1].trim());
        for (_, (name, value)) in rest {
            if own_columns.position(name).is_some() {
                return Err(format!("its metadata holds {}, and there is a column of that name", shown(name)));
            }
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&quoted(name));
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        Ok(Some(Payload::from_checked(text)))
    }

    /// The text of the object that a metadata value is, or in a format of text cells holds.
    fn own_metadata<'r>(&self, value: &'r str) -> Result<Option<Cow<'r, str>>, String> {
        let text = if self.text_cells && value.starts_with('"') {
            let cell = string(value);
            match cell.trim() {
                "" => return Ok(None),
                object if check_strict(object).is_ok() => Cow::Owned(object.to_owned()),
                _ => return Err("its metadata is not a JSON object".to_owned()),
            }
        } else {
            Cow::Borrowed(value)
        };
        if text.starts_with('{') { Ok(Some(text)) } else { Err("its metadata is not a JSON object".to_owned()) }
    }
}

fn not_there(field: ItemField, path: &str, names: &[&str]) -> Misfit {
    let field = field.as_str();
    Misfit {
        what: format!("there is no {} to take the item's {field} from; {}", shown(path), listed(names)),
        hint: format!(
            "correct --map {field}=<column>, or dataset.fields.{field} in the spec; dots reach inside objects"
        ),
    }
}

/// At most twenty columns for a message.
fn listed(names: &[&str]) -> String {
    const LISTED: usize = 20;
    let list = names.iter().take(LISTED).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "there are no columns".to_owned(),
        count if count > LISTED => format!("the columns are {list} and {} more", count - LISTED),
        _ => format!("the columns are {list}"),
    }
}

/// A value that is there and not null.
fn present(found: Found<'_>) -> Option<&str> {
    match found {
        Found::Value { text, .. } if text != "null" => Some(text),
        _ => None,
    }
}

fn item_id(value: &str) -> Result<ItemId, String> {
    let text = match value.as_bytes().first() {
        Some(b'"') => string(value),
        Some(b'-' | b'0'..=b'9') if !value.contains(['.', 'e', 'E']) => Cow::Borrowed(value),
        _ => return Err("its item_id is neither a string nor an integer".to_owned()),
    };
    ItemId::new(&*text).map_err(|error| format!("its item_id cannot be one: {error}"))
}

/// The string that a JSON string's text stands for. The text is strict JSON, so that it stands for one.
fn string(text: &str) -> Cow<'_, str> {
    let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|text| !text.contains('\\'));
    plain.map_or_else(|| Cow::Owned(serde_json::from_str(text).unwrap_or_default()), Cow::Borrowed)
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}
