//! `asOf`: a moment in the past, as requests name it.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::cx::Cx;
use crate::error::Error;

/// Which moment is asked about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
pub(super) struct AsOf {
    /// Beyond the original: answers as it would have been answered then, deleted certificates included; who may see them is decided
    /// by the rights of today. A date in any form that queries take.
    #[param(rename = "asOf")]
    as_of: Option<String>,
}

impl AsOf {
    /// The same request, asked then; unchanged when no moment is named.
    ///
    /// # Errors
    /// 400 naming the parameter for what is no date, or in the future.
    pub(super) fn of<'c>(&self, cx: &'c Cx) -> Result<Cow<'c, Cx>, Error> {
        Ok(match &self.as_of {
            None => Cow::Borrowed(cx),
            Some(text) => Cow::Owned(cx.as_of(moment(cx, "asOf", text)?)),
        })
    }
}

/// A moment that is not in the future.
///
/// # Errors
/// 400 naming the parameter.
pub(super) fn moment(cx: &Cx, parameter: &str, text: &str) -> Result<i64, Error> {
    let wrong = |what: &str| Error::bad_request(format!("{parameter}: {text:?} is {what}."));
    match search::dates::parse(text, cx.now()) {
        None => Err(wrong("not a date")),
        Some(at) if at > cx.now() => Err(wrong("in the future")),
        Some(at) => Ok(at),
    }
}
