//! A dataset from a list.

use std::collections::VecDeque;

use ef_model::{DatasetRow, Digest, ItemSource, SourceError};

/// Delivers rows from a list, then ends or fails.
#[derive(Debug, Default)]
pub struct ListSource {
    rows: VecDeque<DatasetRow>,
    failure: Option<SourceError>,
    ended: bool,
}

impl ListSource {
    /// A source of these rows.
    pub fn new(rows: impl IntoIterator<Item = DatasetRow>) -> Self {
        Self { rows: rows.into_iter().collect(), failure: None, ended: false }
    }

    /// A source of `count` sample items.
    #[must_use]
    pub fn of_items(count: u64) -> Self {
        Self::new((1..=count).map(|row| DatasetRow::Item(crate::item(row))))
    }

    /// Makes the source fail with this message after its last row.
    #[must_use]
    pub fn failing(mut self, message: &str) -> Self {
        self.failure = Some(SourceError { message: message.to_owned(), hint: None });
        self
    }
}

impl ItemSource for ListSource {
    fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
        match self.rows.pop_front() {
            Some(row) => Ok(Some(row)),
            None => match self.failure.take() {
                Some(failure) => Err(failure),
                None => {
                    self.ended = true;
                    Ok(None)
                }
            },
        }
    }

    fn skip_to(&mut self, row: u64) -> Result<(), SourceError> {
        while self.rows.front().is_some_and(|next| next.row() < row) {
            self.rows.pop_front();
        }
        Ok(())
    }

    fn digest(&self) -> Option<Digest> {
        self.ended.then(|| Digest::of(b"a list"))
    }

    fn may_block(&self) -> bool {
        false
    }
}
