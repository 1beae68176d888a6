"""Reports that people read: recordings on ECG paper with findings and measurements, and a model evaluated.

ecg report MODEL RECORDINGS REPORT
ecg report --evaluation LABELS OUTPUTS [OUTPUTS2] REPORT
"""
