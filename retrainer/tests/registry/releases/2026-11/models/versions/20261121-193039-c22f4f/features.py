def label(frame):
    return frame


def features(frame):
    return frame
