"""A guided tour of Mask R-CNN: what each stage makes of one photograph, as pictures and numbers.

    python -m object_detection.tour --help

`inside` takes the values out of the network's own parts; `pictures` draws them, `numbers` puts
them into JSON, and `page` writes docs/how_it_works.md of both. The notebook inspect_model.ipynb
takes the same steps one after another.
"""
