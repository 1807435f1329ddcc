//! Paths as clients write them: any case, doubled and trailing slashes, several bases.

/// A path of the API: its segments, lower-case for literals, `None` where a value stands.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    text: String,
    segments: Vec<Option<String>>,
}

impl Template {
    pub(crate) fn new(text: &str) -> Self {
        let segments = text
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| (!segment.starts_with('{')).then(|| segment.to_ascii_lowercase()))
            .collect();
        Self {
            text: text.to_owned(),
            segments,
        }
    }

    /// As it is documented.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many literal segments match, or nothing when the path is another.
    fn score(&self, path: &[&str]) -> Option<usize> {
        if self.segments.len() != path.len() {
            return None;
        }
        let mut literals = 0;
        for (wanted, segment) in self.segments.iter().zip(path) {
            match wanted {
                Some(literal) if segment.eq_ignore_ascii_case(literal) => literals += 1,
                Some(_) => return None,
                None => {}
            }
        }
        Some(literals)
    }

    /// The path in the documented spelling, with the values as they came.
    fn canonical(&self, path: &[&str]) -> String {
        let mut out = String::with_capacity(self.text.len() + 32);
        for (documented, given) in self
            .text
            .split('/')
            .filter(|segment| !segment.is_empty())
            .zip(path)
        {
            out.push('/');
            out.push_str(if documented.starts_with('{') {
                given
            } else {
                documented
            });
        }
        out
    }
}

/// The template that fits a path best (the most literal segments), and the path in its spelling.
pub(crate) fn find<'t>(templates: &'t [Template], path: &str) -> Option<(&'t Template, String)> {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let best = templates
        .iter()
        .filter_map(|template| template.score(&segments).map(|score| (score, template)))
        .max_by_key(|(score, _)| *score)?;
    Some((best.1, best.1.canonical(&segments)))
}

/// What follows `base` in a path, without regard to case and to doubled slashes; `None` when it is elsewhere.
pub(crate) fn below(base: &str, path: &str) -> Option<String> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for wanted in base.split('/').filter(|segment| !segment.is_empty()) {
        if !segments.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
    }
    Some(segments.fold(String::new(), |path, segment| path + "/" + segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_slashes_and_precedence() {
        let templates = [
            "/CertificateStoreTypes/{id}",
            "/CertificateStoreTypes/Name/{name}",
            "/Certificates/{id}",
            "/Certificates/Download",
        ]
        .map(Template::new);
        let found = |path: &str| {
            find(&templates, path).map(|(template, path)| (template.text().to_owned(), path))
        };
        assert_eq!(
            found("//certificates//DOWNLOAD/"),
            Some((
                "/Certificates/Download".into(),
                "/Certificates/Download".into()
            ))
        );
        assert_eq!(
            found("/CERTIFICATES/7"),
            Some(("/Certificates/{id}".into(), "/Certificates/7".into()))
        );
        assert_eq!(
            found("/certificatestoretypes/name/PEM"),
            Some((
                "/CertificateStoreTypes/Name/{name}".into(),
                "/CertificateStoreTypes/Name/PEM".into()
            ))
        );
        assert_eq!(found("/Certificates"), None);
        assert_eq!(
            below("/KeyfactorAPI", "/keyfactorapi//Status/Endpoints"),
            Some("/Status/Endpoints".into())
        );
        assert_eq!(
            below("/Keyfactor/API", "/keyfactor/api"),
            Some(String::new())
        );
        assert_eq!(below("/KeyfactorAPI", "/KeyfactorAgents/x"), None);
    }
}
