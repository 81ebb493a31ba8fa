//! Tables, CSV and Markdown from records alone.
