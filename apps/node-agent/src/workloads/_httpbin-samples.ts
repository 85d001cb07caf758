/** `/json`: some document, the same at each call. Tests look at the top-level key. */
export const SAMPLE_JSON = {
  slideshow: {
    author: 'Ambient Lab',
    date: 'date of publication',
    title: 'Sample Slide Show',
    slides: [
      { title: 'Identity before address', type: 'all' },
      { title: 'Overview', type: 'all', items: ['What travels inside the tunnel', 'Who may open one'] },
    ],
  },
}

/** `/html`: some page, the same at each call. */
export const SAMPLE_HTML = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>A page of httpbin</title></head>
<body>
<h1>A page about nothing</h1>
<p>It has a heading and a paragraph, so that a client has something to fetch and a proxy something to pass on.</p>
</body>
</html>
`
