"""A guided tour of Mask R-CNN: every stage on one photograph, as pictures and numbers.

    python -m object_detection.tour --help

`inputs` loads the photograph and the network, `inside` collects the values of the network's own
parts, `pictures` draws them, and `page` writes docs/how_it_works.md. The notebook
inspect_model.ipynb takes the same steps one by one.
"""
