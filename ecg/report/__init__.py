"""Reports that people read: recordings on ECG paper with findings and measurements, and a model judged.

python -m ecg.report MODEL RECORDINGS REPORT
python -m ecg.report --evaluation LABELS OUTPUTS [OUTPUTS2] REPORT
"""
