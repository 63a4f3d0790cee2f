"""One module for each labeling format: reads its files into an `AnnotationSet`."""
