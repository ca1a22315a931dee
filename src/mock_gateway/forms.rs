//! The checkout's forms: each can be sent once, and only from the page that showed it.
//!
//! A page of another site can send a form here in its visitor's name, but can't read the page that names the form.

use crate::random;
use std::collections::VecDeque;

/// The most forms that wait to be sent; one more ends the oldest.
const FORMS_MAX: usize = 10_000;

/// The forms that were shown and not sent yet.
#[derive(Debug, Default)]
pub(super) struct Forms(VecDeque<u128>);

impl Forms {
    /// Names a new form.
    pub(super) fn issue(&mut self) -> String {
        let name = u128::from_be_bytes(random::bytes());
        if self.0.len() == FORMS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(name);
        format!("{name:032x}")
    }

    /// Accepts a form. Returns whether it was shown, and not sent before.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let name = u128::from_str_radix(name, 16).ok();
        let place = self.0.iter().position(|known| Some(*known) == name);
        place.and_then(|place| self.0.remove(place)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_taken_once_and_only_so_many_wait() {
        let mut forms = Forms::default();
        let oldest = forms.issue();
        assert!(!forms.take("") && !forms.take("0") && !forms.take("nonsense"));
        let form = forms.issue();
        assert!(forms.take(&form) && !forms.take(&form));
        for _ in 0..FORMS_MAX {
            forms.issue();
        }
        assert_eq!(forms.0.len(), FORMS_MAX);
        assert!(!forms.take(&oldest));
    }
}
