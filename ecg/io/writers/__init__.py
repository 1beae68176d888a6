"""Writers: recordings as Challenge files, DICOM, EDF and CSV."""
